/**
 * CPU time of other processes, as Linux counts it: user and system, all threads, in steps of 10 ms.
 * @module
 */
import { readFileSync } from 'node:fs'

const ticksPerSecond = 100

/** @returns Seconds; undefined where there is no /proc, or no such process any more. @see proc(5), stat */
export function cpuSecondsOf(pid: number): number | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ') // a command's name may hold spaces
    return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond
  } catch {
    return undefined
  }
}

/** Who spent how much between one moment and the next, in microseconds a record. */
export class CpuMeter<Name extends string> {
  readonly #groups: Readonly<Record<string, readonly number[]>>
  #before: Readonly<Record<string, number | undefined>>

  /** Starts. @param groups Process ids, by the name of a figure; a figure without any is left out. */
  constructor(groups: Readonly<Record<Name, readonly number[]>>) {
    const entries = Object.entries<readonly number[]>(groups)
    this.#groups = Object.fromEntries(entries.filter(([, pids]) => pids.length > 0))
    this.#before = this.#read()
  }

  /** Since the last time, or the start, in which so many records were handled. All processes must still be there. */
  perRecord(records: number): Record<Name, number | undefined> {
    const [before, after] = [this.#before, this.#read()]
    this.#before = after
    const spent = (name: string): number | undefined => {
      const [from, to] = [before[name], after[name]]
      return from === undefined || to === undefined ? undefined : ((to - from) / records) * 1e6
    }
    const entries = Object.keys(this.#groups).map((name) => [name, spent(name)])
    return Object.fromEntries(entries) as Record<Name, number | undefined>
  }

  #read(): Record<string, number | undefined> {
    return Object.fromEntries(
      Object.entries(this.#groups).map(([name, pids]) => [name, sum(pids.map(cpuSecondsOf))]),
    )
  }
}

function sum(values: readonly (number | undefined)[]): number | undefined {
  return values.reduce<number | undefined>(
    (total, value) => (total === undefined || value === undefined ? undefined : total + value),
    0,
  )
}
