/**
 * Leaving: how a stopped instance leaves its channels, in bounded time.
 *
 *   LV1. In this order: outputs are sent, the input is acknowledged, the channels are left. So the next owner starts
 *        after the last record done.
 *   LV2. Outputs that are not accepted in time are lost with this process, and counted, as are records whose dead letters have no
 *        answer by then; the queue passes to the next owner untouched.
 *   LV3. Where the store does not know of a partition's state, the last checkpoint is waited for. If that fails, what is not
 *        acknowledged is counted as `unstored`: no next owner can count it (FS1 of runner/checkpoint/beginnings.ts).
 * Design: docs/design/0005-runner.md
 * @module
 */
import type { Consumer, Producer } from '../../infra/bus/index.ts'
import type { StateKeeper } from '../checkpoint/state-keeper.ts'
import type { ShareMover } from '../handover/share-mover.ts'
import type { Acknowledger } from './acknowledger.ts'

/** Longest wait for the outputs and dead letters: together with a callback's, below a task's grace period. */
export const outputsWaitMs = 4_000
/** For the last word, where they took all of it. */
const lastWordsMs = 500

export interface LeavingParts {
  readonly mover: ShareMover
  readonly producer: Producer
  readonly consumer: Consumer
  readonly acknowledger: Acknowledger
  readonly keeper: Pick<StateKeeper, 'untold'> | undefined
  /** Resolves when the last checkpoint is stored, or could not be in time. */
  readonly stored: Promise<void> | undefined
}

export async function leaveChannels({
  mover,
  producer,
  consumer,
  acknowledger,
  keeper,
  stored,
}: LeavingParts): Promise<void> {
  const deadline = AbortSignal.timeout(outputsWaitMs)
  await mover.settled(deadline)
  await producer.sent(deadline).catch(() => undefined)
  const safe = await acknowledger.lettersSafe(deadline)
  if (!safe) acknowledger.giveUpLetters()
  if (producer.heldBytes > 0 || !safe) consumer.giveUp('undelivered') // LV2
  if (keeper?.untold !== undefined) await stored
  if (keeper?.untold !== undefined) consumer.giveUp('unstored', keeper.untold) // LV3
  const last = deadline.aborted ? AbortSignal.timeout(lastWordsMs) : deadline
  await consumer.leave(last).catch(() => undefined)
  await producer.settled(deadline).catch(() => undefined)
  await producer.close(last)
}
