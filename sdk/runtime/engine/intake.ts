/**
 * Intake: iterates over the records of a batch: which one is next, and which attempt at it that is.
 *
 *   IN1. Records are taken in the order of the frames, and of the records in them (I2).
 *   IN2. A record that belongs to another version, or has to wait behind one that was set aside, is passed over with
 *        its own verdict.
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
  /** At the record that was taken last. */
  cursor: Cursor
  /** The number of the current attempt at a record or timer. */
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

  /** The number of frames in the batch; 0: it is only for timers or housekeeping. */
  get frames(): number {
    return this.#frames
  }

  /**
   * Starts a batch of so many frames.
   * @param lines The keys that wait for records that were set aside, as JSON. @param share Default: all keys belong
   *   to this isolate.
   */
  begin(frames: number, lines: string | undefined, share: KeyShare | undefined): void {
    this.aside.begin(lines)
    this.share.begin(share)
    this.#frames = frames
    this.#frame = 0
    this.#recordsLeft = 0
  }

  /** Takes the next record. @returns Whether there is one. */
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

  /** The current record keeps its cursor; the next record gets another one. */
  renew(): Cursor {
    this.cursor = this.cursor.again()
    return this.cursor
  }

  /** Moves to the first record of a frame that is not skipped. The host has checked the whole frame. */
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
