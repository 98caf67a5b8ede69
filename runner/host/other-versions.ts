/**
 * OtherVersions: the versions beside the ones that the instances run: the next version, a canary, a shadow, or one to
 * be judged by a gate.
 *
 *   OV1. Each of them is wanted by the newest assignment, and ends with its instance.
 * @module
 */
import type { NatsConnection } from '../../infra/bus/index.ts'
import type { Clock } from '../../infra/clock.ts'
import type { GateAnswer, GateAsk } from '../../infra/control/index.ts'
import type { FunctionAssignment } from '../../infra/control/messages/assignment.ts'
import type { InstanceReport } from '../../infra/control/messages/heartbeat.ts'
import { Canaries } from '../canary/canaries.ts'
import { Gates } from '../gate/gates.ts'
import type { Worker } from '../instance/worker.ts'
import { type IsolateOptions, SingleIsolate } from '../isolate/index.ts'
import type { Memory } from '../process/memory.ts'
import { Shadows, shadowBeside } from '../shadow/shadows.ts'
import { Swaps } from '../succession/swaps.ts'

export interface OtherVersionsOptions {
  readonly clock: Clock
  readonly namespace: string
  /** The memory of the process. */
  readonly memory: Memory
  /** Workers by instance. */
  readonly workers: ReadonlyMap<string, Worker>
  /** The options for an isolate of a version beside a worker, without state. */
  readonly isolateOf: (fn: FunctionAssignment, worker: Worker) => Promise<IsolateOptions>
  /** Opens the connection for storing differences, on first use. */
  readonly connect: () => Promise<NatsConnection>
  /** Called when there is something new to report. */
  readonly onChange: () => void
  /** Called when one is over, and its bundle and assets may be released. */
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

  /** Sets the version that the instance should have, and those beside it. */
  want(id: string, worker: Worker, fn: FunctionAssignment): void {
    this.#canaries.want(id, worker, fn)
    this.#shadows.want(id, worker, fn)
    this.#swaps.want(id, worker, fn)
  }

  /** Ends everything beside an instance that has ended. */
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

  /** Resolves when all differences were stored, or could not be. */
  close(): Promise<void> {
    return this.#shadows.close()
  }

  async #make(fn: FunctionAssignment, worker: Worker): Promise<SingleIsolate> {
    return await SingleIsolate.create({
      ...(await this.#options.isolateOf(fn, worker)),
      metrics: worker.metrics,
      replaces: worker.running.assignment.version,
      onTrial: fn.trial !== undefined,
    })
  }
}
