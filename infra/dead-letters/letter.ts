/**
 * Letter: a record or a timer that was given up, and why.
 * @module
 */
import { frameOf, headerBytesV1, type RawRecord } from '../../sdk/wire/frame.ts'

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

/** From where a record came. */
export interface LetterPlace {
  readonly stream: string
  readonly partition: number
  readonly producer: string
}

export interface Letter extends LetterPlace {
  readonly record: RawRecord
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

/** A letter that is to be written: its record is where it lies, at `at` of an accepted frame. */
export interface NewLetter extends Omit<Letter, 'record'> {
  readonly bytes: Uint8Array
  readonly at: number
}

export interface NewLetters extends Omit<Letters, 'letters'> {
  readonly letters: readonly NewLetter[]
}

/** A letter whose record lies in no frame. */
export function newLetter({ record, ...letter }: Letter): NewLetter {
  return { ...letter, bytes: frameOf([record]), at: headerBytesV1 }
}
