/**
 * FormerChannels: channels of one partition that nothing is expected of any more: their producer's slot has a new holder, or it
 * was silent for long. What came by them is still here to be done, and to be asked about: where its producer was killed, nobody
 * else knows how far it had come.
 *
 *   FC1. A channel is forgotten when its producer is heard again; else when nothing in it is open and `keptMs` have passed, or
 *        `keptMax` others have ended since. A channel with dropped records stays longer, since its producer may return
 *        and continue the count.
 * Design: docs/design/0002-channels.md, "The account of a producer that is killed"
 * @module
 */
import { sumOfCounts } from '../../control/counts.ts'
import { type InChannel, isUnsaid } from './in-channel.ts'

const keptMax = 1_000
/** Much longer than receivers are asked about a killed producer. */
const keptMs = 600_000

export class FormerChannels {
  /** In the order in which they ended. */
  readonly #all = new Map<string, { readonly channel: InChannel; readonly endedMs: number }>()
  /** Those with records that are not done, or not acknowledged. */
  readonly #open = new Set<InChannel>()

  add(channel: InChannel, nowMs: number): void {
    this.#all.delete(channel.producer)
    this.#all.set(channel.producer, { channel, endedMs: nowMs })
    if (isUnsaid(channel)) this.#open.add(channel)
    this.#forgetOld(nowMs)
  }

  #forgetOld(nowMs: number): void {
    for (const [producer, { channel, endedMs }] of this.#all) {
      const isOld = endedMs <= nowMs - keptMs
      if (!isOld && this.#all.size <= keptMax) return
      const mayCountOn = sumOfCounts(channel.dropped) > 0 && this.#all.size <= keptMax
      if (!mayCountOn && !this.#open.has(channel)) this.#all.delete(producer)
    }
  }

  /** The producer is heard again. @returns What was dropped of its records before. */
  resume(producer: string, nowMs: number): InChannel['dropped'] {
    const found = this.#all.get(producer)?.channel
    this.#all.delete(producer)
    this.#forgetOld(nowMs)
    if (found !== undefined) this.#open.delete(found)
    return found?.dropped ?? {}
  }

  /** Those that are still acknowledged, though nobody hears it. */
  open(): readonly InChannel[] {
    for (const channel of this.#open) if (!isUnsaid(channel)) this.#open.delete(channel)
    return [...this.#open]
  }

  *[Symbol.iterator](): Generator<InChannel> {
    for (const { channel } of this.#all.values()) yield channel
  }
}
