/**
 * ConsumerVoice: sends what one owner tells producers and other owners: claims and credits.
 *
 *   V1. Nothing is sent while the connection is down; after the reconnect every channel is told again.
 *   V2. Credits have the version that the producer asks for, or the latest known here if that is lower.
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
import { windowFor } from '../messages/windows.ts'
import type { Wire } from '../wire/wire.ts'
import { creditOf, type InChannel } from './in-channel.ts'
import type { InPartition } from './in-partition.ts'

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
  /** Number of channels that share the windows. */
  channels = 0
  /** Whether memory is short: windows are smaller. */
  isNarrow = false

  constructor(options: VoiceOptions, owner: string, partitions: ReadonlyMap<string, InPartition>) {
    this.#options = options
    this.#owner = owner
    this.#partitions = partitions
  }

  /** Claims partitions; default: all owned. */
  claim(partitions: Iterable<InPartition> = this.#partitions.values()): void {
    const { wire, namespace } = this.#options
    if (!wire.connected) return
    for (const claim of claimsOf(this.#owner, partitions))
      wire.publish(claimSubject(namespace, claim.consumer), encodeClaim(claim))
  }

  credit(owned: InPartition, channel: InChannel, flags: number): void {
    this.#publish(channel, owned, [this.#entry(owned, channel, flags)])
  }

  /** Answers a frame that cannot be taken, at most once per pause for a flood of them. */
  askResend(owned: InPartition, channel: InChannel, flags: number): void {
    const nowMs = this.#options.clock.monotonicMs()
    if (nowMs - channel.resendAskedMs < resendEveryMs) return
    channel.resendAskedMs = nowMs
    this.credit(owned, channel, flags)
  }

  /** Sends credits: one message per producer, consumer name and epoch. @param next With `leaving`: the next owner. */
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

  /** The flags for a channel without a position. */
  #entry(owned: InPartition, channel: InChannel, flags: number, next?: NextOwner): CreditEntry {
    const windowBytes = windowFor(this.#options.windowBytes, this.channels, this.isNarrow)
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
