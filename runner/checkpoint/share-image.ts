/**
 * ShareImage: the state and timers of a share at rest, as its giver hands them over: a stored checkpoint, and the pages
 * changed since.
 * Design: docs/design/0011-handover.md
 * @module
 */
import type { Checkpoint } from '../../infra/checkpoints/index.ts'

export interface ShareImage {
  /** The checkpoint on which the pages build; absent: none was ever stored. */
  readonly base?: { readonly epoch: number; readonly number: number }
  /** The epoch of the giver's claim to the slot: only what is stored with a higher epoch is by a later owner. */
  readonly epoch?: number
  /** The revision of the manifest that the giver wrote last, with its last word on timers. Absent if it does not know. */
  readonly revision?: number
  /** Bytes of the slabs of its arena, in order; none: there is no state. */
  readonly slabs: readonly number[]
  /** By input stream: what the state contains. */
  readonly inputs: Checkpoint['inputs']
  /** Numbers of the pages; their bytes follow one another in `bytes`. */
  readonly pages: Uint32Array
  readonly bytes: Uint8Array
}

/** Most pages of an image: an answer is one NATS message. */
export const imagePagesMax = 512

export function isBase(checkpoint: Checkpoint | undefined, base: ShareImage['base']): boolean {
  return checkpoint?.epoch === base?.epoch && checkpoint?.number === base?.number
}
