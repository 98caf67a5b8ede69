/**
 * Child: starts one process of the platform and waits for its ready line.
 *
 * Invariants:
 *  H1. The child has our end of a pipe as its stdin, and ends when we are gone.
 *  H2. What does not become ready is ended before the error is thrown.
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
  /** What it may take to stop by itself. */
  readonly graceMs: number
  /** It has started once it stands by for another one like it. */
  readonly standsBy?: boolean
  /** Called at its ready line. */
  readonly isReady?: () => void
}

export interface Child {
  readonly id: ProcessId
  /** Of its ready line. */
  readonly url: string
  readonly port: number
  readonly exited: Promise<{ readonly code: number | null; readonly signal: NodeJS.Signals | null }>
  /** @param signal How it is asked; default SIGTERM. */
  stop(signal?: NodeJS.Signals, patienceMs?: number): Promise<void>
  /** What it said when it had stopped: records that it had taken and gave up. Undefined where it did not say so. */
  readonly givenUpRecords: number | undefined
}

/** What starts on a machine without a CPU for it takes long; ended for that, it would never be ready. */
const readyTimeoutMs = 60_000
/** How long the last words of a process that has ended may take to come through. */
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
    detached: true, // a Ctrl-C at our terminal is for us, who stop it in its turn
  })
  closeSync(log)
  child.stdin!.on('error', () => {}) // it has ended: `exited` tells
  const exited = endOf(child)
  exited.catch(() => {}) // it did not even start: the next line throws
  await once(child, 'spawn')
  const id = processId(child.pid!) ?? { pid: child.pid!, started: '' }
  const closed = once(child, 'close')
  let givenUpRecords: number | undefined
  const url = await readyUrl(child, options, (records) => {
    givenUpRecords = records
  })
  if (url === undefined) {
    await endProcess(id, 0) // H2
    const { code, signal } = await exited
    const said = lastMessage((await readFile(logFile)).subarray(logOffset).toString())
    throw infraError(
      'ERR_UP_CHILD',
      `Cannot start the ${name}: ${said ?? `it ended with ${signal ?? code}`} (see ${logFile})`,
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
    get givenUpRecords() {
      return givenUpRecords
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
  onGivenUp: (records: number) => void,
): Promise<string | undefined> {
  const { promise, resolve } = Promise.withResolvers<string | undefined>()
  const late = setTimeout(() => child.kill('SIGKILL'), readyTimeoutMs)
  const lines = createInterface(child.stdout!) // to its end: whatever the child says later must not block it
  lines.on('line', (line) => {
    const [, word, url] = /^\{"(ready|standby)":true,.*"url":"([^"]+)"/.exec(line) ?? []
    if (word === 'ready') isReady?.()
    if (url !== undefined && (word === 'ready' || standsBy)) resolve(url)
    const records = /^\{"stopped":true,.*"givenUpRecords":(\d+)/.exec(line)?.[1]
    if (records !== undefined) onGivenUp(Number(records))
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

/** What a log says last that means something to a reader: the message of a line of JSON, or the line of an error. */
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
