/**
 * Intake: the records of a batch, one after the other: which is next, and which attempt at it that is.
 *
 *   IN1. Records are taken up in the order of the frames and of the records in them (I2).
 *   IN2. What is another version's, or waits behind a record that was set aside, is passed over with a verdict of its own.
 * @module
 */
import { policyOf } from '../../manifest/policy.ts'
import type { KeyShare } from '../../wire/key-share.ts'
import type { KeyedState } from '../arena/keyed-state.ts'
import type { OutcomeWriter } from '../outcome/outcome-writer.ts'
import { Aside } from '../records/aside.ts'
import { Cursor, type Input } from '../records/record.ts'
import { Share } from '../records/share.ts'
import { entryKind, inputRowAside, inputRowWords, verdict } from '../shared/layout.ts'
import { LookAhead } from '../state/look-ahead.ts'
import type { EngineOptions } from './engine-options.ts'

export type IntakeOptions = Pick<EngineOptions, 'policy' | 'input' | 'inputs' | 'arenas' | 'writer'>

export class Intake {
  readonly aside: Aside
  readonly share = new Share()
  /** At the record that was taken up last. */
  cursor: Cursor
  /** Which one the callback at hand is, of its record or timer. */
  attempt = 1
  readonly #input: Input
  readonly #inputs: readonly string[]
  readonly #arenas: readonly number[] | undefined
  readonly #writer: OutcomeWriter
  readonly #states: readonly (KeyedState | undefined)[]
  readonly #lookAhead: LookAhead
  #frames = 0
  #frame = 0
  #recordsLeft = 0
  #recordNext = 0

  /** @param states By partition; shared with the engine. */
  constructor(
    { policy, input, inputs, arenas, writer }: IntakeOptions,
    states: readonly (KeyedState | undefined)[],
  ) {
    this.#input = input
    this.#inputs = inputs
    this.#arenas = arenas
    this.#writer = writer
    this.#states = states
    this.#lookAhead = new LookAhead(input)
    this.aside = new Aside(policyOf(policy))
    this.cursor = new Cursor(input)
  }

  /** How many frames the batch has; 0: it is for timers, or for the sake of housekeeping. */
  get frames(): number {
    return this.#frames
  }

  /**
   * A batch of so many frames lies in the input.
   * @param lines Lines that wait for records that were set aside, as JSON. @param share Default: all keys are this isolate's.
   */
  begin(frames: number, lines: string | undefined, share: KeyShare | undefined): void {
    this.aside.begin(lines)
    this.share.begin(share)
    this.#frames = frames
    this.#frame = 0
    this.#recordsLeft = 0
  }

  /** Takes up the next record. @returns Whether there is one. */
  next(): boolean {
    const cursor = this.cursor
    for (;;) {
      while (this.#recordsLeft === 0) {
        if (this.#frame === this.#frames) return false
        this.#openFrame(this.#frame++)
      }
      if (this.share.isOver) return false
      this.#lookAhead.look(this.#states[cursor.arena], this.#recordNext, this.#recordsLeft)
      this.#recordsLeft--
      cursor.moveTo(this.#recordNext)
      this.#recordNext = cursor.next
      const passes = this.share.passes(cursor)
      if (!passes && !this.aside.waits(cursor)) return true
      this.#writer.done(entryKind.record, passes ? verdict.elsewhere : verdict.behind)
    }
  }

  /** What was taken up keeps its cursor; the next record gets another. */
  renew(): Cursor {
    this.cursor = this.cursor.again()
    return this.cursor
  }

  /** Goes to the first record of a frame that is not to be skipped. The host has checked the frame whole. */
  #openFrame(frame: number): void {
    const { words } = this.#input
    const row = frame * inputRowWords
    const offset = words[row + 1]!
    const skip = words[row + 2]!
    const sizes = words[(offset >> 2) + 1]!
    const cursor = this.cursor
    cursor.stream = this.#inputs[words[row]!]!
    cursor.partition = sizes >>> 16
    cursor.arena = cursor.partition + (this.#arenas?.[words[row]!] ?? 0)
    this.#recordNext = offset + (sizes & 0xffff)
    this.#recordsLeft = words[(offset >> 2) + 7]!
    this.attempt = this.aside.open(words[row + inputRowAside]!)
    this.#writer.retries = this.attempt > 1 ? 1 : 0
    for (let i = 0; i < skip; i++) {
      cursor.moveTo(this.#recordNext)
      this.#recordNext = cursor.next
      this.#recordsLeft--
    }
    this.#lookAhead.forget()
  }
}
