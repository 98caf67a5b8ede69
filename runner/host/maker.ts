/**
 * Maker: makes an instance, from its last checkpoint to a worker.
 *
 *     bundle and checkpoint fetched → state restored → isolate made → worker
 *
 *   MK1. An instance begins with what the newest assignment says of it: while it was made, another may have come, with
 *        more partitions or other streams. If it is no longer wanted, nothing of it is left.
 * Design: docs/design/0005-runner.md
 * @module
 */
import { randomBytes } from 'node:crypto'
import {
  type Assignment,
  assignedVersion,
  type FunctionAssignment,
  type InstanceAssignment,
} from '../../infra/control/messages/assignment.ts'
import type { LogLine } from '../../sdk/api/index.ts'
import { tapBytesOf } from '../../sdk/manifest/manifest.ts'
import { MetricSums } from '../../sdk/wire/user-metrics.ts'
import type { Checkpoints } from '../checkpoint/checkpoints.ts'
import { StateKeeper } from '../checkpoint/state-keeper.ts'
import { type Whose, whoseOf } from '../failures/failure-log.ts'
import { Worker } from '../instance/worker.ts'
import type { WorkerOptions } from '../instance/worker-options.ts'
import { type IsolateOptions, outputsOf, SingleIsolate, StateStore } from '../isolate/index.ts'
import { type Ending, endingOf } from '../process/ending.ts'
import type { Memory } from '../process/memory.ts'
import { beginState } from '../succession/begin-state.ts'
import { renew } from '../succession/renewal.ts'
import type { Source, Sources } from './sources.ts'

/** What all workers of the runner share. */
export type Shared = Pick<
  WorkerOptions,
  | 'wire'
  | 'namespace'
  | 'clock'
  | 'standing'
  | 'letters'
  | 'spill'
  | 'allowances'
  | 'gone'
  | 'ask'
  | 'onWant'
  | 'onMoved'
  | 'onFailure'
>

/** Writes a line to a function's log. */
export type LogTo = (whose: Whose, level: LogLine['level'], message: string) => void

export interface MakerOptions {
  readonly shared: Shared
  readonly memory: Memory
  readonly sources: Sources
  readonly checkpoints: Checkpoints
  /** The newest assignment. */
  readonly assignment: () => Assignment | undefined
  readonly onEnd: (instance: InstanceAssignment, ending: Ending) => void
  readonly log: LogTo
}

export class Maker {
  readonly #options: MakerOptions

  constructor(options: MakerOptions) {
    this.#options = options
  }

  /**
   * @param isWanted Whether it is still wanted.
   * @param onMade Called with the worker, not started yet; not called if it is no longer wanted (MK1).
   */
  async make(
    fn: FunctionAssignment,
    instance: InstanceAssignment,
    isWanted: () => boolean,
    onMade: (worker: Worker) => void,
  ): Promise<void> {
    const { shared, sources, checkpoints, log, onEnd } = this.#options
    const { wire, clock, letters } = shared
    const { id } = instance
    let worker: Worker | undefined
    const warn = (message: string): void =>
      log(whoseOf(worker?.running.assignment ?? fn, id), 'warn', message)
    const metrics = new MetricSums(clock.nowMs())
    const state = new StateStore(fn.manifest.limits.stateMib * 2 ** 20)
    const [source, checkpointer] = await Promise.all([
      sources.get(fn),
      checkpoints.of(fn, instance, {
        warn,
        slabOf: (bytes) => state.slabOf(bytes),
        onDue: () => worker?.checkpoint(),
        onSuperseded: (error) => onEnd(instance, endingOf('superseded', error.message)),
      }),
    ])
    const restored = (await checkpointer?.slots.begin(state.commitWord)) ?? new Map()
    for (const [arena, { slabs }] of restored) {
      state.adopt(arena, slabs)
      checkpointer?.slots.own(arena)
    }
    const isolate = await SingleIsolate.create({ ...this.#isolateWith(fn, instance, source), state, metrics })
    if (fn.canary === undefined) await beginState(isolate, fn, () => checkpointer?.end())
    const keeper = checkpointer && new StateKeeper(checkpointer, isolate, restored, { clock, wire, letters })
    const newest = await this.#newest(instance, isWanted, keeper)
    const assignment = this.#options.assignment()
    if (assignment === undefined || newest === undefined) {
      checkpointer?.end()
      return isolate.kill()
    }
    worker = new Worker({
      ...shared,
      // Streams may have changed since the isolate was made.
      assignment: { ...fn, streams: { ...fn.streams, ...assignedVersion(assignment, newest).streams } },
      instance: newest,
      ...{ isolate, keeper, metrics, warn },
      onHeapFull: (heapBytes) => void this.#renew(worker!, newest, heapBytes),
      onEnd: (ending) => onEnd(newest, ending),
    })
    onMade(worker)
  }

  /** The options for an isolate, without state. */
  async isolateOf(
    fn: FunctionAssignment,
    instance: Pick<InstanceAssignment, 'id' | 'index'>,
  ): Promise<IsolateOptions> {
    return this.#isolateWith(fn, instance, await this.#options.sources.get(fn))
  }

  #isolateWith(
    fn: FunctionAssignment,
    { id, index }: Pick<InstanceAssignment, 'id' | 'index'>,
    source: Source,
  ): IsolateOptions {
    const { shared, memory, assignment, log } = this.#options
    return {
      ...{ function: fn.function, version: fn.version, instance: index, manifest: fn.manifest },
      ...source,
      outputs: outputsOf(fn),
      format: fn.format,
      seed: randomBytes(32),
      nowMs: shared.clock.nowMs(),
      tapBytes: tapBytesOf(fn.manifest),
      memory,
      compact: assignment()?.packed === true,
      log: (level, message) => log(whoseOf(fn, id), level, message),
    }
  }

  /** Puts a fresh isolate in place of one whose heap is full. */
  async #renew(worker: Worker, instance: InstanceAssignment, heapBytes: number): Promise<void> {
    const { log } = this.#options
    await renew({
      ...{ worker, heapBytes },
      make: async (fn) =>
        SingleIsolate.create({ ...(await this.isolateOf(fn, instance)), metrics: worker.metrics }),
      log: (level, message) => log(whoseOf(worker.running.assignment, instance.id), level, message),
    })
  }

  /** The instance's assignment once its state is restored (MK1); undefined if it is no longer wanted. */
  async #newest(
    instance: InstanceAssignment,
    isWanted: () => boolean,
    keeper: StateKeeper | undefined,
  ): Promise<InstanceAssignment | undefined> {
    for (let taken = instance; ; ) {
      const newest = this.#options.assignment()?.instances.find(({ id }) => id === instance.id)
      if (newest === undefined || !isWanted()) return undefined
      if (newest.epoch === taken.epoch) return newest
      await keeper?.change(newest)
      taken = newest
    }
  }
}
