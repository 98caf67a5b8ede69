/**
 * Simulate: runs many seeds in several workers; each takes the next seed that is free.
 * @module
 */
import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import type { Bug } from './bugs.ts'
import type { Outcome } from './run.ts'

export interface SimulateOptions {
  readonly first: number
  readonly seeds: number
  readonly steps: number
  readonly workers: number
  readonly bug?: Bug
  /** Ends with the first seed that fails. */
  readonly untilFailure?: boolean
}

export interface Failed {
  readonly seed: number
  readonly failure: NonNullable<Outcome['failure']>
}

export interface Report {
  readonly seeds: number
  readonly steps: number
  readonly seconds: number
  readonly accepted: number
  readonly refused: number
  readonly launched: number
  /** In the order of their seeds. */
  readonly failed: readonly Failed[]
}

/** What a worker is given, and what it answers. */
export interface Share extends SimulateOptions {
  /** The next seed, counted from the first; set beyond the last to end all. */
  readonly next: Int32Array
}
export type ShareReport = Omit<Report, 'seconds'>

export async function simulate(options: SimulateOptions): Promise<Report> {
  const startMs = performance.now()
  const next = new Int32Array(new SharedArrayBuffer(4))
  const work = async (): Promise<ShareReport> => {
    const worker = new Worker(new URL('./worker.ts', import.meta.url), {
      workerData: { ...options, next } satisfies Share,
    })
    const [report] = (await once(worker, 'message')) as [ShareReport]
    return report
  }
  const reports = await Promise.all(Array.from({ length: options.workers }, work))
  const sum = (what: 'seeds' | 'steps' | 'accepted' | 'refused' | 'launched'): number =>
    reports.reduce((total, report) => total + report[what], 0)
  return {
    ...{ seeds: sum('seeds'), steps: sum('steps'), accepted: sum('accepted') },
    ...{ refused: sum('refused'), launched: sum('launched') },
    seconds: (performance.now() - startMs) / 1000,
    failed: reports.flatMap(({ failed }) => failed).sort((a, b) => a.seed - b.seed),
  }
}
