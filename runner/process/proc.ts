/**
 * Proc: what Linux says of another process in `/proc`. Each function returns undefined once the process is gone.
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
 * How long a process was held up, waiting for a CPU or for the disk. Between two looks this is the wait of the thread that waited longest:
 * any thread may hold up the others, as helpers of a garbage collection do in turn.
 * @see Documentation/scheduler/sched-stats; proc(5), stat
 */
export class Waits {
  readonly #folder: string
  #last: Look | undefined
  #waitedMs = 0

  constructor(pid: number, proc = '/proc') {
    this.#folder = `${proc}/${pid}/task`
  }

  /** Begins the count anew with the next `waitedMs`. */
  forget(): void {
    this.#last = undefined
    this.#waitedMs = 0
  }

  /** Since the first call after `forget`. */
  waitedMs(nowMs: number): number {
    const now = { atMs: nowMs, threads: this.#read() }
    const before = this.#last
    this.#last = now
    if (before === undefined) return 0
    const spanMs = nowMs - before.atMs
    let longestMs = 0
    for (const [thread, { ranMs, waitedMs, isHeldUp }] of now.threads) {
      const then = before.threads.get(thread) ?? { ranMs: 0, waitedMs: 0 }
      // The kernel counts a wait when the thread runs again: of one that waits now, the rest of the span is the wait.
      const ranNowMs = ranMs - then.ranMs
      longestMs = Math.max(longestMs, isHeldUp ? spanMs - ranNowMs : waitedMs - then.waitedMs)
    }
    this.#waitedMs += Math.min(spanMs, longestMs)
    return this.#waitedMs
  }

  #read(): Map<string, ThreadTimes> {
    const threads = new Map<string, ThreadTimes>()
    for (const thread of list(this.#folder)) {
      const [ranNs, waitedNs] = read(`${this.#folder}/${thread}/schedstat`)?.split(' ') ?? []
      const stat = read(`${this.#folder}/${thread}/stat`)
      if (waitedNs === undefined || stat === undefined) continue
      const isHeldUp = /[RD]/.test(stat[stat.lastIndexOf(')') + 2] ?? '') // its name may hold anything
      threads.set(thread, { ranMs: Number(ranNs) / 1e6, waitedMs: Number(waitedNs) / 1e6, isHeldUp })
    }
    return threads
  }
}

interface ThreadTimes {
  readonly ranMs: number
  /** Until it last ran. */
  readonly waitedMs: number
  /** It runs, or would if it had a CPU, or if the disk had answered. */
  readonly isHeldUp: boolean
}

interface Look {
  readonly atMs: number
  readonly threads: ReadonlyMap<string, ThreadTimes>
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
