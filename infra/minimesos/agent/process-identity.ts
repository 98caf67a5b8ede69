/**
 * Who a process is: its pid and the tick at which it started, so that a pid used again is never taken for it.
 *
 *   I1. No signal is sent to a process or group whose leader does not have the recorded start, or is a child not waited for.
 *   I2. A zombie is dead: it may stay for ever where pid 1 does not reap.
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

/** Signals the group that the process leads; false if it is no more. */
export function signalGroup(leader: ProcessIdentity, signal: NodeJS.Signals): boolean {
  return isAlive(leader) && signalGroupOf(leader.pid, signal)
}

/** For a child that has not been waited for: until then nobody else has its pid. */
export function signalGroupOf(pid: number, signal: NodeJS.Signals): boolean {
  try {
    return process.kill(-pid, signal)
  } catch {
    return false
  }
}
