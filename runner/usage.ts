/**
 * Usage: what an instance uses, looked at after each batch: CPU time, by which it may be held back, and heap, by which it may
 * get a fresh isolate.
 * @module
 */
import type { TakenFrame } from '../infra/bus/index.ts'
import type { Manifest } from '../sdk/manifest.ts'
import { CpuBudget } from './cpu-budget.ts'
import { HeapWatch } from './heap-watch.ts'
import type { Isolate } from './isolate/index.ts'
import type { WorkerOptions } from './worker-options.ts'

export class Usage {
  readonly cpu: CpuBudget
  readonly #heap: HeapWatch

  /** @param limits Of the version at work. */
  constructor({ clock, warn, onHeapFull }: WorkerOptions, limits: () => Manifest['limits']) {
    this.cpu = new CpuBudget({ clock, warn, processMs, msPerSecond: () => limits().cpuMsPerSecond })
    this.#heap = new HeapWatch(clock, () => limits().heapMib, onHeapFull)
  }

  /** @param frame The last of the batch. @param isSettled Whether the isolate is here to stay. */
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
