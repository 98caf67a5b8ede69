/**
 * ProcessIdentity: identifies a process by its pid and the tick at which it started, so that a reused pid is never
 * mistaken for it.
 *
 *   PI1. A process or group is signalled only if its leader has the recorded start, or is a child that was not waited
 *        for.
 *   PI2. A zombie counts as dead: it may stay for ever if pid 1 does not reap.
 * @module
 */
import { readFileSync } from 'node:fs'

export interface ProcessIdentity {
  readonly pid: number
  /** Field 22 of /proc/PID/stat: clock ticks since boot. */
  readonly startTicks: number
}

/** Reads a whole line of /proc/PID/stat; undefined for anything else, e.g. half a line. */
export function parseStat(line: string): (ProcessIdentity & { readonly state: string }) | undefined {
  // The name in parentheses may itself hold blanks and parentheses.
  const [, pid, rest] = /^(\d+) \(.*\) (.*)\n/s.exec(line) ?? []
  const fields = rest?.split(' ')
  const [state, startTicks] = [fields?.[0], Number(fields?.[19])]
  if (state === undefined || !Number.isSafeInteger(startTicks)) return undefined
  return { pid: Number(pid), startTicks, state }
}

/** The identity of a living process. */
export function identityOf(pid: number): ProcessIdentity | undefined {
  try {
    const stat = parseStat(readFileSync(`/proc/${pid}/stat`, 'utf8'))
    return stat === undefined || stat.state === 'Z' || stat.state === 'X' ? undefined : stat
  } catch {
    return undefined
  }
}

export function isAlive(identity: ProcessIdentity): boolean {
  return identityOf(identity.pid)?.startTicks === identity.startTicks
}

/** Signals the group that the process leads; false if the process is gone. */
export function signalGroup(leader: ProcessIdentity, signal: NodeJS.Signals): boolean {
  return isAlive(leader) && signalGroupOf(leader.pid, signal)
}

/** Signals the group of a child that was not waited for: until then its pid cannot be reused. */
export function signalGroupOf(pid: number, signal: NodeJS.Signals): boolean {
  try {
    return process.kill(-pid, signal)
  } catch {
    return false
  }
}
