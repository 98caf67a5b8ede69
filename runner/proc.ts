/**
 * What Linux tells of another process, without asking it. Each answers undefined once the process is gone.
 * @module
 */
import { readFileSync } from 'node:fs'

const pageBytes = 4096

/** Resident memory in bytes. @see proc(5), statm */
export function residentBytes(pid: number): number | undefined {
  const pages = read(`/proc/${pid}/statm`)?.split(' ')[1]
  return pages === undefined ? undefined : Number(pages) * pageBytes
}

/** Time that the main thread was ready to run and waited for a CPU, in milliseconds. @see Documentation/scheduler/sched-stats */
export function waitedForCpuMs(pid: number): number | undefined {
  const waitedNs = read(`/proc/${pid}/schedstat`)?.split(' ')[1]
  return waitedNs === undefined ? undefined : Number(waitedNs) / 1e6
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').trim()
  } catch {
    return undefined
  }
}
