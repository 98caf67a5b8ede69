/**
 * Usage: looks after each batch at what an instance uses: CPU time, for which it may be held back, and heap, for which it may get a
 * fresh isolate.
 * @module
 */
import type { TakenFrame } from '../../infra/bus/index.ts'
import type { Clock } from '../../infra/clock.ts'
import type { Manifest } from '../../sdk/manifest/manifest.ts'
import type { Isolate } from '../isolate/index.ts'
import { CpuBudget } from './cpu-budget.ts'
import { HeapWatch } from './heap-watch.ts'

export interface UsageOptions {
  readonly clock: Clock
  /** Called with a line for the function's log. */
  readonly warn: (message: string) => void
  /** Called when the isolate's heap stays near its limit. */
  readonly onHeapFull: (heapBytes: number) => void
}

export class Usage {
  readonly cpu: CpuBudget
  readonly #heap: HeapWatch

  /** @param limits Of the version at work. */
  constructor({ clock, warn, onHeapFull }: UsageOptions, limits: () => Manifest['limits']) {
    this.cpu = new CpuBudget({ clock, warn, processMs, msPerSecond: () => limits().cpuMsPerSecond })
    this.#heap = new HeapWatch(clock, () => limits().heapMib, onHeapFull)
  }

  /** After a batch. @param frame Its last one. @param isSettled False for an isolate on trial, which may not stay. */
  look(isolate: Isolate, frame: TakenFrame | undefined, isSettled: boolean): void {
    this.cpu.spend(isolate, frame)
    if (isSettled) this.#heap.look(isolate)
  }
}

/** CPU time of this process so far. */
export function processMs(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1000
}
