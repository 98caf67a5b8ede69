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
 * How long a process could not go on for want of a CPU or of the disk: in each span between two looks, as long as the one of its threads
 * waited that waited longest. All threads, and span by span: while one collects garbage in parts it waits for the others, in turn.
 * @see Documentation/scheduler/sched-stats; proc(5), stat
 */
export class Waits {
  readonly #folder: string
  #last: Look | undefined
  #waitedMs = 0

  constructor(pid: number, proc = '/proc') {
    this.#folder = `${proc}/${pid}/task`
  }

  /** The count begins anew at the next `waitedMs`. */
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
      // What a thread waits for at this moment is in no count before it runs.
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
