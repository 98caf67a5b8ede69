/**
 * What Linux tells of another process, without asking it. Each answers undefined once the process is gone.
 * @module
 */
import { readdirSync, readFileSync } from 'node:fs'

const pageBytes = 4096

/** Resident memory in bytes. @see proc(5), statm */
export function residentBytes(pid: number): number | undefined {
  const pages = read(`/proc/${pid}/statm`)?.split(' ')[1]
  return pages === undefined ? undefined : Number(pages) * pageBytes
}

/**
 * How long threads of a process waited for a CPU. All of them: while one collects garbage in parts, it waits for the others,
 * and they may wait for a CPU. @see Documentation/scheduler/sched-stats
 */
export class CpuWaits {
  readonly #pid: number
  /** Nanoseconds that each thread had waited when the count began. */
  #before: ReadonlyMap<string, number> | undefined

  constructor(pid: number) {
    this.#pid = pid
  }

  /** The count begins anew at the next `longestMs`. */
  forget(): void {
    this.#before = undefined
  }

  /** The longest that one thread has waited since the first call after `forget`. */
  longestMs(): number {
    const now = this.#read()
    this.#before ??= now
    let longestNs = 0
    for (const [thread, waitedNs] of now)
      longestNs = Math.max(longestNs, waitedNs - (this.#before.get(thread) ?? 0))
    return longestNs / 1e6
  }

  #read(): Map<string, number> {
    const folder = `/proc/${this.#pid}/task`
    const waited = new Map<string, number>()
    for (const thread of list(folder)) {
      const waitedNs = read(`${folder}/${thread}/schedstat`)?.split(' ')[1]
      if (waitedNs !== undefined) waited.set(thread, Number(waitedNs))
    }
    return waited
  }
}

function list(folder: string): string[] {
  try {
    return readdirSync(folder)
  } catch {
    return []
  }
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').trim()
  } catch {
    return undefined
  }
}
