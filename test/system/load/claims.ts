/**
 * Claims: what the sink has heard of who owns which partition, and between which frames. A frame does not carry the epoch of a share; its
 * owner's claims do.
 *
 *   CL1. A claim is heard before what its owner puts out by it, for both come on one connection. One that is heard later was missed, and asked
 *        for: it counts from the first frame on.
 * @module
 */
import type { Claim } from '../../../infra/bus/messages/claim.ts'

interface Heard {
  readonly claim: Claim
  /** So many frames had come. */
  readonly frames: number
}

export class Claims {
  #heard: Heard[] = []
  /** By owner and partition: the epochs of its claims, in the order heard. */
  readonly #epochs = new Map<string, number[]>()
  /** The last one that was heard before the frame at hand. */
  readonly #now = new Map<string, number>()
  readonly #stream: string

  constructor(stream: string) {
    this.#stream = stream
  }

  hear(claim: Claim, frames: number): void {
    this.#heard.push({ claim, frames })
    for (const key of this.#keysOf(claim))
      this.#epochs.set(key, [...(this.#epochs.get(key) ?? []), claim.epoch])
  }

  /** Goes on to the next frame. @param frames So many came before it. @returns What was heard between the two. */
  before(frames: number): Claim[] {
    const heard: Claim[] = []
    while (this.#heard.length > 0 && this.#heard[0]!.frames <= frames) heard.push(this.#heard.shift()!.claim)
    for (const claim of heard) for (const key of this.#keysOf(claim)) this.#now.set(key, claim.epoch)
    return heard
  }

  /** By which claim an owner puts out something of a partition; 0 if it has claimed none. */
  epochOf(owner: string, partition: number): number {
    const key = `${owner} ${partition}`
    return this.#now.get(key) ?? this.#epochs.get(key)?.[0] ?? 0
  }

  #keysOf({ owner, partitions }: Claim): string[] {
    return (partitions[this.#stream] ?? []).map((partition) => `${owner} ${partition}`)
  }
}
