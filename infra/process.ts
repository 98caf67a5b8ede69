/**
 * Process: identifies a process. A pid alone may be reused; a pid with its start time and boot is unique.
 *
 * Invariants:
 *   P1. Only the identified process is signalled.
 *   P2. A zombie counts as ended: it runs nothing and holds nothing.
 * @module
 */
import { readdirSync, readFileSync } from 'node:fs'
import { setTimeout } from 'node:timers/promises'

/** One process of this machine, as plain data: it may be kept in a file over restarts of everything. */
export interface ProcessId {
  readonly pid: number
  /** The boot it belongs to and its start in clock ticks since then: opaque, compared only. */
  readonly started: string
}

/** @returns The identity of a living process, or undefined if there is none with this pid. */
export function processId(pid: number): ProcessId | undefined {
  const stat = readOrUndefined(`/proc/${pid}/stat`)
  if (stat === undefined) return undefined
  // The second field is the command in parentheses and may hold anything, so count from its end: state is field 3.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const [state, startTicks] = [fields[0], fields[19]]
  if (state === 'Z' || state === 'X' || startTicks === undefined) return undefined
  return { pid, started: `${bootId()}:${startTicks}` }
}

export function isAlive(id: ProcessId): boolean {
  return processId(id.pid)?.started === id.started
}

/** @returns A living process whose command line ends with these arguments, whoever started it. */
export function processWith(lastArguments: readonly string[]): ProcessId | undefined {
  const end = ['', ...lastArguments, ''].join('\0')
  const pid = readdirSync('/proc').find((name) => readOrUndefined(`/proc/${name}/cmdline`)?.endsWith(end))
  return pid === undefined ? undefined : processId(Number(pid))
}

/** Sends a signal, to the whole process group if `group`. @returns Whether the process was there (P1). */
export function signalProcess(id: ProcessId, signal: NodeJS.Signals, group = false): boolean {
  if (!isAlive(id)) return false
  try {
    process.kill(group ? -id.pid : id.pid, signal)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false
    throw error
  }
}

/** Waits until the process has ended. @returns False if it still lives after `timeoutMs`. */
export async function processEnded(id: ProcessId, timeoutMs: number): Promise<boolean> {
  const deadlineMs = performance.now() + timeoutMs
  while (isAlive(id)) {
    if (performance.now() >= deadlineMs) return false
    await setTimeout(10)
  }
  return true
}

/** How a process was ended: it did as it was asked, or it did not. */
export type Ended = 'asked' | 'killed'

/** Asks with `signal`, insists with SIGKILL after `graceMs`. @returns undefined if there was nothing to end. */
export async function endProcess(
  id: ProcessId,
  graceMs: number,
  signal: NodeJS.Signals = 'SIGTERM',
): Promise<Ended | undefined> {
  if (!signalProcess(id, signal)) return undefined
  if (await processEnded(id, graceMs)) return 'asked'
  signalProcess(id, 'SIGKILL')
  await processEnded(id, 5_000)
  return 'killed'
}

let boot: string | undefined
function bootId(): string {
  boot ??= readOrUndefined('/proc/sys/kernel/random/boot_id')?.trim() ?? ''
  return boot
}

function readOrUndefined(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return undefined // the process ended, or between open and read (ESRCH)
  }
}
