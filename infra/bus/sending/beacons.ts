/**
 * Beacons: how a producer says how far it is: at once when asked, and repeatedly while an answer is due.
 *
 *   B1. Nothing is sent while the connection is down.
 *   B2. For a partition that waits, a beacon is sent after 250 ms of silence, then after ever longer pauses, 2 s at most.
 * Design: docs/design/0002-channels.md
 * @module
 */
import { type Id64, parseId64 } from '../../../sdk/wire/frame.ts'
import type { Clock } from '../../clock.ts'
import type { StreamDescriptor } from '../../control/messages/streams.ts'
import { encodeBeacon } from '../messages/beacon.ts'
import { outSubject, wantSubject } from '../messages/subjects.ts'
import type { Wire } from '../wire/wire.ts'
import { laneConsumers } from './modes.ts'
import type { OutPartition } from './out-partition.ts'

const beaconFirstMs = 250
const beaconLastMs = 2000
const never = Number.POSITIVE_INFINITY

/** Reused from frame to frame: new ones would be garbage, and old tables of a Map keep young objects alive. */
interface BeaconPlan {
  delayMs: number
  /** Infinity: nothing is due. */
  dueMs: number
}

export interface BeaconOptions {
  readonly wire: Wire
  readonly namespace: string
  readonly epoch: number
  readonly clock: Clock
}

export class Beacons {
  readonly #options: BeaconOptions
  readonly #producer: Id64
  readonly #origin: Id64
  readonly #creditVersion: number
  readonly #plans = new Map<OutPartition, BeaconPlan>()
  #cancelTick: (() => void) | undefined
  #stopped = false

  constructor(options: BeaconOptions, producer: Id64, origin: Id64, creditVersion: number) {
    this.#options = options
    this.#producer = producer
    this.#origin = origin
    this.#creditVersion = creditVersion
  }

  /** Sends a beacon for a partition. */
  send(out: OutPartition): void {
    const { wire, namespace, epoch } = this.#options
    if (!wire.connected || this.#stopped) return
    const stamp = {
      producer: this.#producer,
      origin: this.#origin,
      epoch,
      partition: out.partition,
      sequence: out.reached,
      creditVersion: this.#creditVersion,
    }
    const frame = encodeBeacon(stamp, {
      oldest: Math.min(out.oldest, out.sent),
      entries: out.beaconEntries(),
    })
    wire.publish(outSubject(namespace, out), frame)
  }

  /** Raises the fence of a slot: sends beacons with nothing but the epoch to every partition, of every lane too. */
  raise(origin: string, epoch: number, streams: Iterable<{ readonly descriptor: StreamDescriptor }>): void {
    const { wire, namespace } = this.#options
    if (!wire.connected || this.#stopped) return
    for (const { descriptor } of streams) {
      for (let partition = 0; partition < descriptor.partitions; partition++) {
        const stamp = { producer: this.#producer, origin: parseId64(origin), epoch, partition, sequence: 0 }
        const frame = encodeBeacon(stamp, { oldest: 0, entries: [] })
        for (const consumer of [undefined, ...laneConsumers(descriptor)])
          wire.publish(outSubject(namespace, { stream: descriptor.name, partition, consumer }), frame)
      }
    }
  }

  /** Plans beacons for a partition while it waits (B2). */
  plan(out: OutPartition): void {
    if (!out.waiting) return
    const plan = this.#plans.get(out) ?? { delayMs: 0, dueMs: never }
    if (plan.dueMs < never) return
    this.#plans.set(out, plan)
    plan.delayMs = beaconFirstMs
    plan.dueMs = this.#options.clock.monotonicMs() + beaconFirstMs
    this.#tickLater()
  }

  /** Notes an answer. */
  heard(out: OutPartition): void {
    const plan = this.#plans.get(out)
    if (plan !== undefined) plan.dueMs = never
  }

  stop(): void {
    this.#stopped = true
    this.#cancelTick?.()
  }

  #tickLater(): void {
    if (this.#cancelTick !== undefined || this.#stopped) return
    this.#cancelTick = this.#options.clock.after(beaconFirstMs, () => {
      this.#cancelTick = undefined
      this.#tick()
    })
  }

  #tick(): void {
    const nowMs = this.#options.clock.monotonicMs()
    for (const [out, plan] of this.#plans) {
      if (plan.dueMs === never || !out.waiting) this.#plans.delete(out)
      else if (plan.dueMs <= nowMs) {
        this.send(out)
        this.#want(out)
        plan.delayMs = Math.min(beaconLastMs, plan.delayMs * 2)
        plan.dueMs = nowMs + plan.delayMs
      }
    }
    if (this.#plans.size > 0) this.#tickLater()
  }

  #want(out: OutPartition): void {
    const { wire, namespace } = this.#options
    if (wire.connected) wire.publish(wantSubject(namespace, out.stream), new Uint8Array(0))
  }
}
