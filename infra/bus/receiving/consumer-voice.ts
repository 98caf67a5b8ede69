/**
 * ConsumerVoice: what one owner tells the producers and the other owners: its claims and credits.
 *
 *   V1. Nothing is told while the connection is down: after the reconnect every channel is told anew.
 *   V2. A producer is told in the version of credits that it asks for, or in the latest that we know.
 * Design: docs/design/0002-channels.md
 * @module
 */
import type { Clock } from '../../clock.ts'
import { claimsOf, encodeClaim } from '../messages/claim.ts'
import {
  type CreditEntry,
  creditFlags,
  creditVersionMax,
  encodeCredit,
  type NextOwner,
} from '../messages/credit.ts'
import { claimSubject, creditSubject } from '../messages/subjects.ts'
import type { Wire } from '../wire/wire.ts'
import { creditOf, type InChannel } from './in-channel.ts'
import type { InPartition } from './in-partition.ts'
import { windowFor } from './windows.ts'

const resendEveryMs = 50

export interface VoiceOptions {
  readonly wire: Wire
  readonly clock: Clock
  readonly namespace: string
  readonly windowBytes?: number
}

export class ConsumerVoice {
  readonly #options: VoiceOptions
  readonly #owner: string
  readonly #partitions: ReadonlyMap<string, InPartition>
  /** How many share the windows. */
  channels = 0

  constructor(options: VoiceOptions, owner: string, partitions: ReadonlyMap<string, InPartition>) {
    this.#options = options
    this.#owner = owner
    this.#partitions = partitions
  }

  /** Says what it owns; default: all of it. */
  claim(partitions: Iterable<InPartition> = this.#partitions.values()): void {
    const { wire, namespace } = this.#options
    if (!wire.connected) return
    for (const claim of claimsOf(this.#owner, partitions))
      wire.publish(claimSubject(namespace, claim.consumer), encodeClaim(claim))
  }

  credit(owned: InPartition, channel: InChannel, flags: number): void {
    this.#publish(channel, owned, [this.#entry(owned, channel, flags)])
  }

  /** At most one answer in a while to a flood of frames that cannot be taken. */
  askResend(owned: InPartition, channel: InChannel, flags: number): void {
    const nowMs = this.#options.clock.monotonicMs()
    if (nowMs - channel.resendAskedMs < resendEveryMs) return
    channel.resendAskedMs = nowMs
    this.credit(owned, channel, flags)
  }

  /** One message for each producer, and name and epoch of ours. @param next Beside `leaving`: who owns it next. */
  credits(which: (channel: InChannel, owned: InPartition) => boolean, flags: number, next?: NextOwner): void {
    const messages: { channel: InChannel; owned: InPartition; entries: CreditEntry[] }[] = []
    for (const owned of this.#partitions.values()) {
      if (owned.epoch === undefined) continue
      for (const channel of owned.channels.values()) {
        if (!which(channel, owned)) continue
        let message = messages.find(
          (one) =>
            one.channel.producer === channel.producer &&
            one.channel.creditVersion === channel.creditVersion &&
            one.owned.epoch === owned.epoch &&
            one.owned.consumer === owned.consumer,
        )
        if (message === undefined) {
          message = { channel, owned, entries: [] }
          messages.push(message)
        }
        message.entries.push(this.#entry(owned, channel, flags, next))
      }
    }
    for (const { channel, owned, entries } of messages) this.#publish(channel, owned, entries)
  }

  /** Of a channel without a position: how it is to be found. */
  #entry(owned: InPartition, channel: InChannel, flags: number, next?: NextOwner): CreditEntry {
    const windowBytes = windowFor(this.#options.windowBytes, this.channels)
    if (channel.expected !== undefined) return creditOf(owned, channel, flags, windowBytes, next)
    const credit = creditOf(owned, channel, creditFlags.fresh, windowBytes)
    const { epoch, since } = owned
    if (since === epoch) return credit
    return { ...credit, flags: creditFlags.fresh | creditFlags.heir, through: since }
  }

  #publish(
    { producer, creditVersion }: InChannel,
    { consumer, epoch }: InPartition,
    entries: readonly CreditEntry[],
  ): void {
    const { wire, namespace } = this.#options
    if (!wire.connected || epoch === undefined) return
    const credit = { consumer, owner: this.#owner, epoch, entries }
    const version = Math.min(creditVersion, creditVersionMax)
    wire.publish(creditSubject(namespace, producer), encodeCredit(credit, version))
  }
}
