/**
 * ShareImage: the state and timers of a share at rest, as its giver hands them over: a stored checkpoint, and the pages
 * that have changed since.
 * Design: docs/design/0011-handover.md
 * @module
 */
import type { Checkpoint } from '../../infra/checkpoints/index.ts'

export interface ShareImage {
  /** The checkpoint that the pages lie on; absent: none was ever stored. */
  readonly base?: { readonly epoch: number; readonly number: number }
  /** Of the giver's claim to the slot: what is stored at that epoch or below is nobody's who came behind it. */
  readonly epoch?: number
  /** Of the manifest that its giver wrote last: what it says of timers is its last word. Absent: it does not know. */
  readonly revision?: number
  /** Bytes of the slabs of its arena, in order; none: there is no state. */
  readonly slabs: readonly number[]
  /** By input stream: what the state contains. */
  readonly inputs: Checkpoint['inputs']
  /** Numbers of the pages, and their bytes one behind the other. */
  readonly pages: Uint32Array
  readonly bytes: Uint8Array
}

/** Most pages of an image: an answer is one message of NATS. */
export const imagePagesMax = 512

export function isBase(checkpoint: Checkpoint | undefined, base: ShareImage['base']): boolean {
  return checkpoint?.epoch === base?.epoch && checkpoint?.number === base?.number
}
