/**
 * Acknowledger: tells producers which records were accepted, and which are done because their results are safe.
 *
 *   A1. A record is acknowledged only when its outputs, and those of all records before it, have been accepted by the
 *       owners downstream (or stored, if they queue), and JetStream has confirmed its dead letter (K2 of worker.ts) and
 *       knows that its partition has state (FS1 of runner/checkpoint/beginnings.ts).
 *   A2. A record is announced before any output or dead letter of it is sent; and before it is run, if it may be what
 *       killed the previous owner.
 *   A3. What never becomes safe, since the producer was closed, is not acknowledged, and nothing more is tried.
 *   A4. Letters are counted as they are answered, whatever outputs wait for meanwhile.
 * @module
 */
import {
  type Consumer,
  type Mark,
  type Producer,
  type TakenFrame,
  unlessAborted,
} from '../../infra/bus/index.ts'
import type { Clock } from '../../infra/clock.ts'
import type { LetterBox } from '../failures/letter-box.ts'

/**
 * Batches up to this size are announced together with their outputs. Larger ones are announced at once, since their
 * producers wait for credits.
 */
const smallBytes = 64 * 1024
/** For how long every batch is announced before it is run, from the first batch on after taking over partitions. */
const carefulMs = 1_000

/** The frames of posted letters, and whether each was stored. */
export interface PostedLetters {
  readonly frames: readonly TakenFrame[]
  readonly answers: Promise<readonly boolean[]>
}

interface OpenLetters extends PostedLetters {
  /** Of the acknowledgement that covers their records, once it has begun. */
  mark: Mark | undefined
  counted: Promise<void> | undefined
}

export interface AcknowledgerOptions {
  readonly consumer: Consumer
  readonly producer: Producer
  readonly clock: Clock
  readonly stopping: AbortSignal
  /** Where the dead letters lie. */
  readonly letterBox: Pick<LetterBox, 'flush' | 'sent'>
  /** Partitions of which nothing may be acknowledged yet; undefined: there are none. */
  readonly untold?: () => ((stream: string, partition: number) => boolean) | undefined
  /** Called when a delayed acknowledgement was made, or given up. */
  readonly onAcknowledged: () => void
}

export class Acknowledger {
  readonly #options: AcknowledgerOptions
  #acknowledging: Promise<void> | undefined
  /** Letters without an answer. */
  readonly #letters = new Set<OpenLetters>()
  /** True when letters are not waited for any more. */
  #hasGivenUp = false
  /** Infinity: no batch has begun since partitions came. */
  #carefulUntilMs = Number.NEGATIVE_INFINITY

  constructor(options: AcknowledgerOptions) {
    this.#options = options
  }

  /** Makes the next acknowledgement wait for these letters. */
  await(letters: PostedLetters): void {
    const open: OpenLetters = { ...letters, mark: undefined, counted: undefined }
    this.#letters.add(open)
    open.counted = this.#count(open)
  }

  /** Partitions were taken over from an owner that may have been killed by a record that it could not announce. */
  beCareful(): void {
    this.#carefulUntilMs = Number.POSITIVE_INFINITY
  }

  /** Notes that a batch has begun. Mostly it was announced already, with the outputs of the one before. */
  begun(batch: readonly TakenFrame[]): void {
    const isSmall = batch.reduce((sum, { bytes }) => sum + bytes.length, 0) <= smallBytes
    const nowMs = this.#options.clock.monotonicMs()
    this.#carefulUntilMs = Math.min(this.#carefulUntilMs, nowMs + carefulMs)
    if (isSmall && nowMs >= this.#carefulUntilMs) return
    if (!this.#options.consumer.isAnnounced(batch)) this.announce()
  }

  /** Announces taken records that are about to have outputs (A2). */
  announce(): void {
    this.#options.consumer.announce()
  }

  /** Acknowledges at once if no output or dead letter is pending; otherwise when all are safe. */
  acknowledge(): void {
    const { consumer, producer } = this.#options
    if (this.#acknowledging !== undefined) return
    if (this.#letters.size === 0 && producer.isSafe) consumer.acknowledge(this.#mark())
    else this.#acknowledging = this.#acknowledgeWhenSafe()
  }

  /** Waits until all dead letters posted so far are confirmed. @returns Whether that happened in time. */
  async lettersSafe(deadline: AbortSignal): Promise<boolean> {
    const due = [...this.#letters]
    this.#options.letterBox.flush()
    await unlessAborted(Promise.all(due.map(({ counted }) => counted)), deadline)
    return !due.some((letters) => this.#letters.has(letters))
  }

  /** The records of letters without an answer were counted otherwise: their answers count no more. */
  giveUpLetters(): void {
    this.#hasGivenUp = true
  }

  #mark(): Mark {
    const { consumer, untold } = this.#options
    return consumer.mark(untold?.())
  }

  /**
   * Runs one acknowledgement at a time. It covers what was done when it began; the next one covers the rest. It begins when the
   * letters at hand leave, so it also covers what was done while they were gathered.
   */
  async #acknowledgeWhenSafe(): Promise<void> {
    const { consumer, producer, letterBox, stopping, onAcknowledged } = this.#options
    if (this.#letters.size > 0) await letterBox.sent()
    const mark = this.#mark()
    const letters = [...this.#letters]
    for (const each of letters) each.mark = mark
    const safe = producer.safe(stopping).catch(() => false)
    await Promise.all(letters.map(({ counted }) => counted))
    const isSafe = await safe
    this.#acknowledging = undefined
    if (isSafe && !this.#hasGivenUp) consumer.acknowledge(mark) // else it is older than what was counted since
    if ((isSafe && !stopping.aborted) || this.#letters.size > 0) this.acknowledge() // A3
    onAcknowledged()
  }

  /** What is counted before an acknowledgement covers it is in the channel, whose position that one takes. */
  async #count(open: OpenLetters): Promise<void> {
    const { frames, answers } = open
    const stored = await answers
    this.#letters.delete(open)
    if (this.#hasGivenUp) return
    const { mark } = open
    for (let from = 0, to = 1; from < frames.length; to++) {
      if (frames[to] === frames[from] && stored[to] === stored[from]) continue
      const reason = stored[from] === true ? 'deadLettered' : 'deadLetterRefused'
      this.#options.consumer.drop(frames[from]!, reason, { ...(mark && { mark }), records: to - from })
      from = to
    }
  }
}
