/**
 * Acknowledger: tells producers what is done, when what came of it is safe.
 *
 *   A1. A record is acknowledged only after its outputs, and those of all before it, were sent, and JetStream has answered
 *       for its dead letter (K2 of worker.ts).
 * @module
 */
import type { Consumer, Producer, TakenFrame } from '../infra/bus/index.ts'

/** The frames of posted letters, and whether each was stored. */
export interface PostedLetters {
  readonly frames: readonly TakenFrame[]
  readonly answers: Promise<readonly boolean[]>
}

export interface AcknowledgerOptions {
  readonly consumer: Consumer
  readonly producer: Producer
  readonly stopping: AbortSignal
  /** Dead letters are waited for: they are not to wait for others. */
  readonly hurryLetters: () => void
  /** Something that had to wait was acknowledged, or given up. */
  readonly onAcknowledged: () => void
}

export class Acknowledger {
  readonly #options: AcknowledgerOptions
  #acknowledging: Promise<void> | undefined
  /** Dead letters posted since the last acknowledgement began. */
  #letters: PostedLetters[] = []

  constructor(options: AcknowledgerOptions) {
    this.#options = options
  }

  /** What was done waits for these letters. */
  await(letters: PostedLetters): void {
    this.#letters.push(letters)
  }

  /** At once if nothing is held for want of credit and no dead letter is on its way; else when all that is safe. */
  acknowledge(): void {
    const { consumer, producer } = this.#options
    const safe = producer.heldBytes === 0 && this.#letters.length === 0
    if (safe && this.#acknowledging === undefined) consumer.acknowledge()
    else this.#acknowledging ??= this.#acknowledgeWhenSafe()
  }

  /** Waits for the answers to all dead letters, and counts them. @returns Whether they came in time. */
  async lettersSafe(deadline: AbortSignal): Promise<boolean> {
    const late = new Promise<false>((resolve) => {
      deadline.addEventListener('abort', () => resolve(false), { once: true })
    })
    while (this.#letters.length > 0 || this.#acknowledging !== undefined) {
      this.#options.hurryLetters()
      this.#acknowledging ??= this.#acknowledgeWhenSafe()
      if ((await Promise.race([this.#acknowledging, late])) === false) return false
    }
    return true
  }

  /** One at a time: it covers what was done when it began, the next one what was done meanwhile. */
  async #acknowledgeWhenSafe(): Promise<void> {
    const { consumer, producer, stopping, onAcknowledged } = this.#options
    const mark = consumer.mark()
    const letters = this.#letters
    this.#letters = []
    const sent = producer.sent(stopping).then(
      () => true,
      () => false,
    )
    for (const { frames, answers } of letters) {
      const stored = await answers
      for (const [index, frame] of frames.entries())
        consumer.drop(frame, stored[index] === true ? 'deadLettered' : 'deadLetterRefused', mark)
    }
    const isSent = await sent
    this.#acknowledging = undefined
    if (isSent) consumer.acknowledge(mark)
    if (!stopping.aborted || this.#letters.length > 0) this.acknowledge()
    onAcknowledged()
  }
}
