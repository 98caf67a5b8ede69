/**
 * The runner task: a watchdog that starts the runner proper, watches it, and exits with the reason of its end.
 * It holds no NATS connection and runs no user code. Design: docs/design/0005-runner.md.
 * @module
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { programFile, root } from '../infra/programs.mjs'
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
const compileCache = process.env['NODE_COMPILE_CACHE'] ?? join(root, '.tools', 'cache')

const packed = process.env['CONCORD_PACKED'] === '1'

/**
 * Settings of glibc's malloc for a runner of many instances; other C libraries ignore them. Blocks of 512 KiB and more get pages of
 * their own, which cost nothing until they are touched: by default glibc raises that threshold to the largest block that was ever freed,
 * and then clears, that is touches, the memory of a new isolate. Two arenas: each thread that compiles would keep its own garbage.
 */
const malloc = packed ? { MALLOC_MMAP_THRESHOLD_: String(512 * 1024), MALLOC_ARENA_MAX: '2' } : {}
/**
 * MiB of the young generation of the runner's own heap. By default V8 lets it grow, since a tenth of what is allocated lives for a while;
 * its collections are then rare and long, and records wait for them (docs/benchmarks/engine.md, latency). In a runner of many instances
 * the heartbeats let it grow by 20 MB. Isolates get the default size: host-main.ts takes the limit back before it makes any.
 */
const youngMib = packed ? 2 : 4
/**
 * Switches off pretenuring: V8 allocates in the old generation what has lived long before, by its place in the code. In the first second
 * much lives long, while code is cold and records queue. V8 kept to that for good: 12 MB a second of short-lived objects of frames went
 * into the old generation, which needs full collections (docs/benchmarks/engine.md, latency). Isolates get the flag too, at no cost.
 */
const pretenuring = '--no-allocation-site-pretenuring'
/**
 * Bytes of bytecode that V8 may join into one function that it compiles; 920 by default. A callback reaches state and outputs through
 * small methods of the runtime, which are more than that together: what was not joined was called for each record
 * (docs/benchmarks/engine.md, throughput).
 */
const joined = '--max-inlined-bytecode-size-cumulative=3000'

const child = spawn(
  process.execPath,
  [
    '--no-node-snapshot', // isolated-vm needs it; we do not, and start in a third of the time
    `--max-semi-space-size=${youngMib}`,
    pretenuring,
    joined,
    '--disable-warning=ExperimentalWarning',
    programFile('runner/host-main.ts'),
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
