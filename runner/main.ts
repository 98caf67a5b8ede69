/**
 * The runner task: a watchdog that starts the runner proper, watches it, and exits with the reason of its end.
 * It holds no NATS connection and runs no user code. Design: docs/design/0005-runner.md.
 * @module
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { extname } from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { type Ending, endingOf, loadingLine, parseEnding } from './process/ending.ts'
import { withHugePages } from './process/huge-pages.ts'
import { residentBytes, Waits } from './process/proc.ts'
import { Watchdog } from './process/watchdog.ts'

const lookMs = 100
const silenceMs = 500
const longestSilenceMs = 15_000
const memoryGraceMs = 400
const startMs = 30_000
const memMib = Number(process.env['CONCORD_MEM_MIB'] ?? '256')

/** Compiled code of the platform is kept there between starts; half of a runner's start is compiling. */
const compileCache =
  process.env['NODE_COMPILE_CACHE'] ?? fileURLToPath(new URL('../.tools/cache', import.meta.url))

const packed = process.env['CONCORD_PACKED'] === '1'

/**
 * How glibc gives memory to a runner of many instances (others ignore it). From 512 KiB on in pages of its own, which cost nothing until
 * they are touched; left to itself it raises that bound to the largest block that was ever freed, and then clears, that is
 * touches, the regions of a new isolate. And from two arenas: each thread that compiles would keep the garbage of its own.
 */
const malloc = packed ? { MALLOC_MMAP_THRESHOLD_: String(512 * 1024), MALLOC_ARENA_MAX: '2' } : {}
/**
 * MiB of the young part of the runner's own heap. Left to itself V8 lets it grow, since a tenth of what is made lives for a while; then its
 * collections are seldom and long, and records wait for them (docs/benchmarks/engine.md, latency). The heartbeats of many instances let
 * it grow by 20 MB. The isolates are to have theirs in full: host-main.ts takes this back before it makes any.
 */
const youngMib = packed ? 2 : 4
/**
 * No object is made old from the start because others of its place in the code have lived long. In the first second many do, while code
 * is cold and records queue; V8 then went on so for good, all that belongs to a frame grew old, 12 MB a second, and was
 * collected in full each few seconds (docs/benchmarks/engine.md, latency). It holds for the isolates too: throughput is the same.
 */
const pretenuring = '--no-allocation-site-pretenuring'

const child = spawn(
  process.execPath,
  [
    '--no-node-snapshot', // isolated-vm needs it; we do not, and start in a third of the time
    `--max-semi-space-size=${youngMib}`,
    pretenuring,
    '--disable-warning=ExperimentalWarning',
    fileURLToPath(new URL(`./host-main${extname(import.meta.url)}`, import.meta.url)), // in an archive it is a .js
  ],
  {
    stdio: ['pipe', 'inherit', 'inherit', 'pipe'],
    env: { ...malloc, ...withHugePages(process.env, memMib), NODE_COMPILE_CACHE: compileCache },
  },
)
const watchdog = new Watchdog(
  { silenceMs, longestSilenceMs, startMs, residentBytesMax: memMib * 1024 * 1024, memoryGraceMs, lookMs },
  performance.now(),
)
let ending: Ending | undefined
let beaten = false
const waits = new Waits(child.pid ?? 0)

listen(child)
const looks = setInterval(() => look(child), lookMs)
let askedBy: NodeJS.Signals | undefined
for (const signal of ['SIGTERM', 'SIGINT'] as const)
  process.on(signal, () => {
    askedBy = signal
    child.kill('SIGTERM')
  })
child.on('error', (error) => finish(endingOf('crashed', `Cannot start the runner: ${error.message}`)))
child.on('close', (code, signal) => finish(ending ?? unexplained(code, signal)))

function listen(runner: ChildProcess): void {
  createInterface({ input: runner.stdio[3] as Readable }).on('line', (line) => {
    if (line === '.') {
      beaten = true
      watchdog.beat(performance.now())
    } else if (line === loadingLine) {
      waits.forget()
      watchdog.load(performance.now())
    } else ending = parseEnding(line)
  })
}

function look(runner: ChildProcess): void {
  const pid = runner.pid
  if (pid === undefined || ending !== undefined) return
  const resident = residentBytes(pid)
  if (resident === undefined) return
  if (beaten) waits.forget()
  const nowMs = performance.now()
  const verdict = watchdog.look({
    nowMs,
    waitedMs: beaten ? 0 : waits.waitedMs(nowMs),
    residentBytes: resident,
  })
  beaten = false
  if (verdict.kind === 'frozen') {
    end(
      runner,
      endingOf(
        'frozen',
        `The runner gave no sign of life for ${Math.round(verdict.silentMs)} ms and was ended`,
      ),
    )
  } else if (verdict.kind === 'memory') {
    const mib = Math.round(verdict.residentBytes / 1024 / 1024)
    end(
      runner,
      endingOf(
        'memory',
        `The runner held ${mib} MiB, its bound is ${memMib} MiB: raise resources.memMib or hold less`,
      ),
    )
  }
}

function end(runner: ChildProcess, why: Ending): void {
  ending = why
  runner.kill('SIGKILL')
}

function unexplained(code: number | null, signal: NodeJS.Signals | null): Ending {
  if (askedBy !== undefined && signal === 'SIGTERM') return endingOf('drained', `stopped by ${askedBy}`) // it had only begun
  return endingOf(
    'crashed',
    `The runner ended without a word: ${signal === null ? `exit code ${code}` : `signal ${signal}`}`,
  )
}

function finish(why: Ending): void {
  clearInterval(looks)
  process.stderr.write(`${JSON.stringify({ exit: why })}\n`, () => process.exit(why.code))
}
