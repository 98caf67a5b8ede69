/**
 * Leaving: how an instance that stops or fails leaves: once, in bounded time (infra/control/stop-times.ts).
 *
 *   LV1. In this order: outputs are accepted, the input is acknowledged, the channels are left. So the next owner starts
 *        after the last record done.
 *   LV2. Outputs that are not accepted in time (those of lanes as far as MS2 of milestones.ts waits for them) are lost with this
 *        process, and their records counted where they came from, as are records whose dead letters have no answer by then: whoever
 *        was replaced meanwhile is refused downstream, and nobody may hear its last report. The queue passes to the next owner untouched.
 *   LV3. Where the store does not know of a partition's state, the last checkpoint is waited for. If that fails, what is not
 *        acknowledged is counted as `unstored`: no next owner can count it (FS1 of runner/checkpoint/beginnings.ts).
 *   LV4. Whoever asks, and however often: all wait for the same end.
 * Design: docs/design/0005-runner.md
 * @module
 */
import { type Consumer, type Producer, unlessAborted } from '../../infra/bus/index.ts'
import { checkpointWaitMs, lastWordsMs, leavingMs, outputsWaitMs } from '../../infra/control/index.ts'
import type { StateKeeper } from '../checkpoint/state-keeper.ts'
import type { Apart } from '../failures/apart.ts'
import type { ShareMover } from '../handover/share-mover.ts'
import type { Acknowledger } from './acknowledger.ts'

export interface LeavingOptions {
  readonly mover: ShareMover
  readonly producer: Producer
  readonly consumer: Consumer
  readonly acknowledger: Acknowledger
  readonly apart: Pick<Apart, 'endAside'>
  readonly keeper: Pick<StateKeeper, 'last' | 'untold'> | undefined
  /** Fails everything that waits for the end of a batch: no batch ends any more. */
  readonly close: () => void
  /** Ends the isolate, when all that it did is delivered. */
  readonly destroy: () => Promise<void>
  /** Ends the isolate at once: the time for `destroy` is over. */
  readonly kill: () => void
}

export class Leaving {
  readonly #options: LeavingOptions
  #over: Promise<void> | undefined

  constructor(options: LeavingOptions) {
    this.#options = options
  }

  /** After the last batch. */
  leave(): Promise<void> {
    this.#over ??= this.#leave() // LV4
    return this.#over
  }

  async #leave(): Promise<void> {
    const { apart, keeper, consumer, close, destroy, kill } = this.#options
    const deadline = AbortSignal.timeout(leavingMs)
    close()
    await apart.endAside()
    const stored = keeper?.last(consumer, checkpointWaitMs, outputsWaitMs)
    await Promise.all([this.#leaveChannels(stored), stored])
    await unlessAborted(destroy(), deadline)
    if (deadline.aborted) kill()
  }

  /** @param stored Resolves when the last checkpoint is stored, or could not be in time. */
  async #leaveChannels(stored: Promise<void> | undefined): Promise<void> {
    const { mover, producer, consumer, acknowledger, keeper } = this.#options
    const deadline = AbortSignal.timeout(outputsWaitMs)
    await mover.settled(deadline)
    await producer.sent(deadline).catch(() => undefined)
    const isAccepted = await producer.accepted(deadline).then(
      () => true,
      () => false,
    )
    const safe = await acknowledger.lettersSafe(deadline)
    if (!safe) acknowledger.giveUpLetters()
    if (!producer.isSent || !isAccepted || !safe) consumer.giveUp('undelivered') // LV2
    if (keeper?.untold !== undefined) await stored
    if (keeper?.untold !== undefined) consumer.giveUp('unstored', keeper.untold) // LV3
    const last = deadline.aborted ? AbortSignal.timeout(lastWordsMs) : deadline
    await consumer.leave(last).catch(() => undefined)
    await producer.settled(deadline).catch(() => undefined)
    await producer.close(last)
  }
}
