/**
 * Acknowledger: tells producers what was accepted, and what is done when what came of it is safe.
 *
 *   A1. A record is acknowledged only when its outputs, and those of all before it, lie with the owners downstream (or
 *       are stored, where they queue), and JetStream has answered for its dead letter (K2 of worker.ts).
 *   A2. A record is announced before an output or a dead letter of it is sent; before it is run if it may be what killed the owner before.
 * @module
 */
import { aborted, type Consumer, type Mark, type Producer, type TakenFrame } from '../../infra/bus/index.ts'
import type { Clock } from '../../infra/clock.ts'

/** Bytes of frames up to which a batch is announced with its outputs. Of larger ones the producers wait for the credits. */
const smallBytes = 64 * 1024
/** How long after partitions came all is announced before it is run. */
const carefulMs = 1_000

/** The frames of posted letters, and whether each was stored. */
export interface PostedLetters {
  readonly frames: readonly TakenFrame[]
  readonly answers: Promise<readonly boolean[]>
}

export interface AcknowledgerOptions {
  readonly consumer: Consumer
  readonly producer: Producer
  readonly clock: Clock
  readonly stopping: AbortSignal
  /** Dead letters are waited for: they are not to wait for others. */
  readonly hurryLetters: () => void
  /** Something that had to wait was acknowledged, or given up. */
  readonly onAcknowledged: () => void
}

export class Acknowledger {
  readonly #options: AcknowledgerOptions
  #acknowledging: Promise<void> | undefined
  /** The answers of those letters that the running acknowledgement covers. */
  #counting: Promise<void> | undefined
  /** Dead letters posted since the last acknowledgement began. */
  #letters: PostedLetters[] = []
  #posted = 0
  #counted = 0
  #carefulUntilMs = Number.NEGATIVE_INFINITY

  constructor(options: AcknowledgerOptions) {
    this.#options = options
  }

  /** What was done waits for these letters. */
  await(letters: PostedLetters): void {
    this.#letters.push(letters)
    this.#posted += 1
  }

  /** Partitions come, and their owner may have been killed by what it was at, before it could say so. */
  beCareful(): void {
    this.#carefulUntilMs = this.#options.clock.monotonicMs() + carefulMs
  }

  /** A batch is in the isolate. */
  begun(batch: readonly TakenFrame[]): void {
    const isSmall = batch.reduce((sum, { bytes }) => sum + bytes.length, 0) <= smallBytes
    if (!isSmall || this.#options.clock.monotonicMs() < this.#carefulUntilMs) this.announce()
  }

  /** What was taken is about to have outputs (A2). */
  announce(): void {
    this.#options.consumer.announce()
  }

  /** At once if nothing is on its way, output or dead letter; else when all that is safe. */
  acknowledge(): void {
    const { consumer, producer } = this.#options
    if (this.#acknowledging !== undefined) return
    if (this.#letters.length === 0 && producer.isSafe) consumer.acknowledge(consumer.mark())
    else this.#acknowledging = this.#acknowledgeWhenSafe()
  }

  /** Waits for the answers to all dead letters posted so far, and counts them. @returns Whether they came in time. */
  async lettersSafe(deadline: AbortSignal): Promise<boolean> {
    const late = aborted(deadline).then(() => false)
    const due = this.#posted
    while (this.#counted < due) {
      this.#options.hurryLetters()
      this.#acknowledging ??= this.#acknowledgeWhenSafe()
      if ((await Promise.race([this.#counting ?? this.#acknowledging, late])) === false) return false
    }
    return true
  }

  /** One at a time: it covers what was done when it began, the next one what was done meanwhile. */
  async #acknowledgeWhenSafe(): Promise<void> {
    const { consumer, producer, stopping, onAcknowledged } = this.#options
    const mark = consumer.mark()
    const letters = this.#letters
    this.#letters = []
    const safe = producer.safe(stopping).then(
      () => true,
      () => false,
    )
    if (letters.length > 0) this.#counting = this.#count(letters, mark)
    await this.#counting
    this.#counting = undefined
    const isSafe = await safe
    this.#acknowledging = undefined
    if (isSafe) consumer.acknowledge(mark)
    if (!stopping.aborted || this.#letters.length > 0) this.acknowledge()
    onAcknowledged()
  }

  async #count(letters: readonly PostedLetters[], mark: Mark): Promise<void> {
    for (const { frames, answers } of letters) {
      const stored = await answers
      for (const [index, frame] of frames.entries())
        this.#options.consumer.drop(
          frame,
          stored[index] === true ? 'deadLettered' : 'deadLetterRefused',
          mark,
        )
      this.#counted += 1
    }
  }
}
