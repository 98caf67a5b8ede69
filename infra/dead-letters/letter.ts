/**
 * Letter: a record or a timer that was given up, and why.
 * @module
 */
import type { RawRecord } from '../../sdk/wire/frame.ts'

export interface LetterError {
  readonly name: string
  readonly message: string
  /** In the author's lines. */
  readonly stack: string
  /** The first frame in the author's source. */
  readonly at?: string | undefined
}

/** Where a timer was set: in which arena, and in that of which instance, where each has its own (sdk/wire/arenas.ts). */
export interface LetterTimer {
  readonly arena: number
  readonly instance: number
}

export interface Letter {
  readonly record: RawRecord
  readonly stream: string
  readonly partition: number
  readonly producer: string
  readonly sequence: number
  readonly error: LetterError
  /** It is a timer that was given up: its key, its time and no value; `stream`, `producer` and `sequence` say nothing. */
  readonly timer?: LetterTimer
  /** Calls of the callback, over all restarts. */
  readonly attempts: number
  readonly failedAtMs: number
}

/** Letters of one version of one function. */
export interface Letters {
  readonly function: string
  readonly version: number
  readonly letters: readonly Letter[]
}
