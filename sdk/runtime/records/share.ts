/**
 * Share: which records and timers of a batch belong to this isolate, while another version has those of other keys.
 *
 *   SH1. What belongs to the other version counts as done without a call; so both count the records of a batch alike.
 * Design: docs/design/0026-rollouts.md
 * @module
 */
import { type KeyShare, pointOf } from '../../wire/key-share.ts'
import type { Cursor } from './record.ts'

export class Share {
  #share: KeyShare | undefined
  #left = Number.POSITIVE_INFINITY

  /** Called before a batch. @param share Default: all keys. */
  begin(share: KeyShare | undefined): void {
    this.#share = share
    this.#left = share?.records ?? Number.POSITIVE_INFINITY
  }

  get isWhole(): boolean {
    return this.#share === undefined
  }

  get takesTimers(): boolean {
    return this.#share?.withoutTimers !== true
  }

  /** Whether the batch ends before the next record. */
  get isOver(): boolean {
    return this.#left === 0
  }

  /** Takes the current record. @returns Whether it belongs to the other version. */
  passes({ input, keyAt, valueAt }: Cursor): boolean {
    this.#left--
    return this.#share !== undefined && !this.#has(input.bytes, keyAt, valueAt - keyAt)
  }

  hasKey(key: Uint8Array, length: number): boolean {
    return this.#has(key, 0, length)
  }

  #has(bytes: Uint8Array, at: number, length: number): boolean {
    const { salt, from, to } = this.#share!
    const point = pointOf(bytes, at, length, salt)
    return point >= from && point < to
  }
}
