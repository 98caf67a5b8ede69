/**
 * Child: starts one process of the platform and waits for its ready line.
 *
 * Invariants:
 *   H1. The child's stdin is a pipe whose other end we hold, and it ends when we are gone.
 *   H2. A child that does not become ready is ended before the error is thrown.
 * @module
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, fstatSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import { infraError } from '../errors.ts'
import { openLogFile } from '../log-file.ts'
import { endProcess, type ProcessId, processId } from '../process.ts'

export interface ChildOptions {
  readonly name: string
  /** Program and arguments. */
  readonly command: readonly [string, ...string[]]
  readonly env: Readonly<Record<string, string | undefined>>
  readonly logFile: string
  /** How long it may take to stop by itself. */
  readonly graceMs: number
  /** It also counts as started when it stands by for another one like it. */
  readonly standsBy?: boolean
  /** Called at its ready line. */
  readonly isReady?: () => void
  /** Called when it says that it has stopped, or is about to. */
  readonly onSaid?: (words: LastWords) => void
}

export interface Child {
  readonly id: ProcessId
  /** The URL in its ready line. */
  readonly url: string
  readonly port: number
  readonly exited: Promise<{ readonly code: number | null; readonly signal: NodeJS.Signals | null }>
  /** @param signal How it is asked to stop; default SIGTERM. */
  stop(signal?: NodeJS.Signals, patienceMs?: number): Promise<void>
  /** What it said when it stopped, or was about to; empty if it did not. */
  readonly said: LastWords
}

/** What a process of the platform says was lost when it stopped. */
export interface LastWords {
  /** It has settled what it could, and has yet to stop. */
  readonly settled?: true
  /** Accepted records that it gave up: of a gateway its own, of the scheduler that drained those from function to function. */
  readonly givenUpRecords?: number
  /** Of a gateway: the store has not taken its account, so no ledger contains them. */
  readonly isUncounted?: true
  /** That number is an upper bound. */
  readonly givenUpIsAtMost?: true
  /** Of the scheduler that drained: the instances that did not end in order, each with the reason. */
  readonly killedInstances?: readonly string[]
}

/** Generous: a process starts slowly on a busy machine, and ended for that it would never become ready. */
const readyTimeoutMs = 60_000
/** How long to wait for the last output of a process that has ended. */
const lastWordsMs = 2_000

/** @throws {CodedError} ERR_UP_CHILD with the last that it said */
export async function startChild(options: ChildOptions): Promise<Child> {
  const { name, command, env, logFile, graceMs } = options
  const log = openLogFile(logFile)
  const logOffset = fstatSync(log).size
  const [program, ...args] = command
  const child = spawn(program, args, {
    stdio: ['pipe', 'pipe', log],
    env: { ...env, CONCORD_PARENT: 'stdin' },
    detached: true, // a Ctrl-C is for us only: we stop the child in its turn
  })
  closeSync(log)
  child.stdin!.on('error', () => {}) // it has ended; `exited` reports it
  const exited = endOf(child)
  exited.catch(() => {}) // it did not even start: the next line throws
  await once(child, 'spawn')
  const id = processId(child.pid!) ?? { pid: child.pid!, started: '' }
  const closed = once(child, 'close')
  let said: LastWords = {}
  const url = await readyUrl(child, options, (words) => {
    said = words
    options.onSaid?.(words)
  })
  if (url === undefined) {
    await endProcess(id, 0) // H2
    const { code, signal } = await exited
    const message = lastMessage((await readFile(logFile)).subarray(logOffset).toString())
    throw infraError(
      'ERR_UP_CHILD',
      `Cannot start the ${name}: ${message ?? `it ended with ${signal ?? code}`} (see ${logFile})`,
    )
  }
  return {
    id,
    url,
    port: Number(new URL(url).port),
    exited,
    async stop(signal = 'SIGTERM', patienceMs = graceMs) {
      await endProcess(id, patienceMs, signal)
      await within(lastWordsMs, closed)
    },
    get said() {
      return said
    },
  }
}

async function endOf(child: ChildProcess): Promise<Awaited<Child['exited']>> {
  const [code, signal] = await once(child, 'exit')
  return { code, signal }
}

/** @returns undefined if it ends, or says nothing in time. */
async function readyUrl(
  child: ChildProcess,
  { standsBy = false, isReady }: ChildOptions,
  onStopped: (said: LastWords) => void,
): Promise<string | undefined> {
  const { promise, resolve } = Promise.withResolvers<string | undefined>()
  const late = setTimeout(() => child.kill('SIGKILL'), readyTimeoutMs)
  const lines = createInterface(child.stdout!) // read to the end, so that later output never blocks the child
  lines.on('line', (line) => {
    const [, word, url] = /^\{"(ready|standby)":true,.*"url":"([^"]+)"/.exec(line) ?? []
    if (word === 'ready') isReady?.()
    if (url !== undefined && (word === 'ready' || standsBy)) resolve(url)
    if (/^\{"(settled|stopped)":true,.*\}$/.test(line)) onStopped(JSON.parse(line) as LastWords)
  })
  lines.once('close', () => resolve(undefined))
  try {
    return await promise
  } finally {
    clearTimeout(late)
  }
}

async function within(ms: number, done: Promise<unknown>): Promise<void> {
  const late = Promise.withResolvers<void>()
  const timer = setTimeout(late.resolve, ms)
  await Promise.race([done, late.promise])
  clearTimeout(timer)
}

/** The last meaningful line of a log: the message of a JSON line, or an error. */
function lastMessage(log: string): string | undefined {
  const lines = log.split('\n').filter((line) => line.trim() !== '')
  const crash = lines.findLast((line) => /^\w*Error\b/.test(line))
  return crash ?? messageOf(lines.at(-1))
}

function messageOf(line: string | undefined): string | undefined {
  if (line === undefined || !line.startsWith('{')) return line
  try {
    return (JSON.parse(line) as { msg?: string }).msg ?? line
  } catch {
    return line
  }
}
