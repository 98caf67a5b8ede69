/**
 * Checkpoints: makes the Checkpointers of all instances of a runner. They share a separate connection: what they send does not
 * delay records, and on a full disk JetStream freezes each connection that asks it for something.
 * @module
 */
import { type BusOptions, connectBus, type NatsConnection } from '../../infra/bus/index.ts'
import { openCheckpoints } from '../../infra/checkpoints/index.ts'
import type { Clock } from '../../infra/clock.ts'
import type { FunctionAssignment, InstanceAssignment } from '../../infra/control/messages/assignment.ts'
import { checkpointSchema, tapeOf } from '../../sdk/manifest/manifest.ts'
import { Checkpointer } from './checkpointer.ts'
import type { SlabOf } from './reader.ts'

export interface CheckpointCallbacks {
  readonly warn: (message: string) => void
  readonly slabOf: SlabOf
  readonly onDue: () => void
  readonly onSuperseded: (error: Error) => void
}

export class Checkpoints {
  readonly #bus: BusOptions
  readonly #namespace: string
  readonly #clock: Clock
  #connection: Promise<NatsConnection> | undefined

  constructor(bus: BusOptions, namespace: string, clock: Clock) {
    this.#bus = bus
    this.#namespace = namespace
    this.#clock = clock
  }

  /** @returns Undefined if the function wants none. @throws {CodedError} ERR_NATS_UNREACHABLE */
  async of(
    fn: FunctionAssignment,
    instance: InstanceAssignment,
    callbacks: CheckpointCallbacks,
  ): Promise<Checkpointer | undefined> {
    const settings = checkpointSchema.parse(fn.manifest.checkpoint ?? {}) // a version deployed before checkpoints existed
    if (settings === false) return undefined
    this.#connection ??= connectBus(this.#bus)
    const nc = await this.#connection.catch((error: unknown) => {
      this.#connection = undefined
      throw error
    })
    return new Checkpointer(
      {
        ...settings,
        ...callbacks,
        store: await openCheckpoints(nc, this.#namespace, fn.function, storeWaitMs),
        clock: this.#clock,
        version: fn.version,
        groupings: fn.groupings,
        baseEveryMs: tapeOf(fn.manifest).ms / 2 || undefined,
      },
      instance,
    )
  }
}

/** Longest call of the store, also at a start. */
const storeWaitMs = 30_000
