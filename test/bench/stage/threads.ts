/**
 * CPU time of threads, as Linux's scheduler counts it, in nanoseconds: much finer than that of processes (cpu.ts).
 * @module
 */
import { readdirSync, readFileSync } from 'node:fs'

export interface Thread {
  readonly pid: number
  readonly id: number
  readonly name: string
}

/** Microseconds that the threads of processes took so far, by what they are for. Threads that have ended are forgotten. */
export function threadMicros<Part extends string>(
  pids: readonly number[],
  partOf: (thread: Thread) => Part,
): Map<Part, number> {
  const micros = new Map<Part, number>()
  for (const pid of pids)
    for (const id of threadsOf(pid)) {
      const folder = `/proc/${pid}/task/${id}`
      const [ns, name] = [read(`${folder}/schedstat`).split(' ')[0]!, read(`${folder}/comm`).trim()]
      const part = partOf({ pid, id: Number(id), name })
      micros.set(part, (micros.get(part) ?? 0) + Number(ns) / 1000)
    }
  return micros
}

function threadsOf(pid: number): string[] {
  try {
    return readdirSync(`/proc/${pid}/task`)
  } catch {
    return [] // no /proc here, or the process has ended
  }
}

function read(file: string): string {
  try {
    return readFileSync(file, 'latin1')
  } catch {
    return '' // it has ended meanwhile
  }
}
