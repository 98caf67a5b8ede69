/**
 * TimerSlack: how late the kernel may wake the threads of a child process from a short sleep, so that sleeps end together.
 *
 * A process inherits it from the thread that starts it. Where the kernel has no such setting (not Linux, no /proc), the
 * child keeps the default of 50 µs.
 * Source: PR_SET_TIMERSLACK in prctl(2); proc_pid_timerslack_ns(5).
 * @module
 */
import { readFileSync, writeFileSync } from 'node:fs'

/** Of this process's main thread, which is the one that starts children. */
const file = '/proc/self/timerslack_ns'

/** Calls `start`, on the main thread: what it starts at once, and all threads of that, have this slack, in ns. */
export function withTimerSlack<T>(ns: number, start: () => T): T {
  const before = set(ns)
  try {
    return start()
  } finally {
    if (before !== undefined) set(before)
  }
}

/** @returns The value before, if there is one. */
function set(ns: number): number | undefined {
  try {
    const before = Number(readFileSync(file, 'utf8'))
    writeFileSync(file, String(ns))
    return before
  } catch {
    return undefined
  }
}
