/**
 * OtherVersions: of each instance at work the versions that are beside the one it has: to take over, to have a part of its keys, to
 * be played its calls, or to be judged on its last records.
 *
 *   OV1. Each is wanted by the newest assignment that it was told of; with its instance it goes.
 * @module
 */
import type { NatsConnection } from '../../infra/bus/index.ts'
import type { Clock } from '../../infra/clock.ts'
import type { GateAnswer, GateAsk } from '../../infra/control/index.ts'
import type { FunctionAssignment, InstanceReport } from '../../infra/control/messages.ts'
import { Canaries } from '../canary/canaries.ts'
import { Gates } from '../gate/gates.ts'
import type { Worker } from '../instance/worker.ts'
import { Instance, type InstanceOptions } from '../isolate/index.ts'
import type { Memory } from '../process/memory.ts'
import { Shadows, shadowBeside } from '../shadow/shadows.ts'
import { Swaps } from '../succession/swaps.ts'

export interface OtherVersionsOptions {
  readonly clock: Clock
  readonly namespace: string
  /** The process's. */
  readonly memory: Memory
  /** At work, by instance. */
  readonly workers: ReadonlyMap<string, Worker>
  /** What an isolate of a version is made of beside a worker, but for its state. */
  readonly isolateOf: (fn: FunctionAssignment, worker: Worker) => Promise<InstanceOptions>
  /** For differences that are written down, when the first is. */
  readonly connect: () => Promise<NatsConnection>
  /** There is something new to report. */
  readonly onChange: () => void
  /** One of them is over: what it was made of may be needed no more. */
  readonly onOver: () => void
  readonly log: (fn: FunctionAssignment, id: string, level: 'info' | 'warn', message: string) => void
}

export class OtherVersions {
  readonly #options: OtherVersionsOptions
  readonly #swaps: Swaps
  readonly #canaries: Canaries
  readonly #shadows: Shadows
  readonly #gates: Gates

  constructor(options: OtherVersionsOptions) {
    this.#options = options
    const { onOver, onChange } = options
    this.#swaps = new Swaps({
      ...options,
      make: (fn, worker) => this.#make(fn, worker),
      onChange: () => {
        onOver()
        onChange()
      },
    })
    this.#canaries = new Canaries({
      ...options,
      make: (fn, worker) => this.#make({ ...fn, trial: fn.manifest.trial }, worker),
      compare: (its, worker, own) => shadowBeside(options, worker, { its, ...own }),
    })
    this.#shadows = new Shadows(options)
    this.#gates = new Gates({ ...options, onDone: onOver })
  }

  /** The instance is to be of this version, with what is said to be beside it. */
  want(id: string, worker: Worker, fn: FunctionAssignment): void {
    this.#canaries.want(id, worker, fn)
    this.#shadows.want(id, worker, fn)
    this.#swaps.want(id, worker, fn)
  }

  /** The instance has gone. */
  forget(id: string): void {
    this.#swaps.forget(id)
    this.#canaries.forget(id)
    this.#shadows.forget(id)
  }

  report(id: string, worker: Worker): Partial<InstanceReport> {
    return {
      ...this.#swaps.report(id, worker),
      ...this.#canaries.report(id),
      ...this.#shadows.report(id),
    }
  }

  /** @returns Never rejects. */
  judge(ask: GateAsk): Promise<GateAnswer> {
    return this.#gates.answer(ask)
  }

  /** What is still to be written down has been, or cannot be. */
  close(): Promise<void> {
    return this.#shadows.close()
  }

  async #make(fn: FunctionAssignment, worker: Worker): Promise<Instance> {
    return await Instance.create({
      ...(await this.#options.isolateOf(fn, worker)),
      metrics: worker.metrics,
      replaces: worker.running.assignment.version,
      onTrial: fn.trial !== undefined,
    })
  }
}
