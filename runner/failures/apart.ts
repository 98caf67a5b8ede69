/**
 * Apart: runs records alone, so that they affect no others or because a retry is due: records that have ended an owner, that
 * were set aside, or at which a version on trial threw; and timers (timers-apart.ts).
 *
 *   AP1. Nothing else is in the isolate meanwhile (K1 of worker.ts).
 * Design: docs/design/0012-failure-reactions.md
 * @module
 */
import { attemptsAt, type Consumer, type TakenFrame } from '../../infra/bus/index.ts'
import type { Clock } from '../../infra/clock.ts'
import { asideEndMs } from '../../infra/control/index.ts'
import type { FunctionAssignment } from '../../infra/control/messages/assignment.ts'
import type { Processing } from '../instance/processing.ts'
import type { WorkerOptions } from '../instance/worker-options.ts'
import type { BatchResult, Isolate } from '../isolate/index.ts'
import type { Ending } from '../process/ending.ts'
import type { Tried } from '../succession/succession.ts'
import { type AloneFrame, aloneOf } from './alone.ts'
import type { SetAside } from './aside.ts'
import { type Failed, locate } from './failed.ts'
import type { Reactions } from './reactions.ts'
import { TimersApart } from './timers-apart.ts'

/** Longest time for the last attempts at records set aside; the rest then get none. */
const asideWaitMs = 700

export interface ApartOptions extends Pick<WorkerOptions, 'keeper' | 'warn'> {
  readonly consumer: Consumer
  readonly aside: SetAside
  readonly reactions: Reactions
  readonly clock: Clock
  readonly stopping: AbortSignal
  readonly processing: Processing
  /** The working isolate. */
  readonly isolate: () => Isolate
  readonly onTrial: () => boolean
  /** The working version. */
  readonly assignment: () => FunctionAssignment
}

export class Apart {
  readonly #options: ApartOptions
  readonly timers: TimersApart
  /** Why the instance cannot continue: a last attempt has ended its isolate, or it could not have what it is to have. */
  ending: Ending | undefined

  constructor(options: ApartOptions) {
    this.#options = options
    const { keeper, consumer, processing } = options
    this.timers = new TimersApart({
      ...options,
      tried: keeper?.tried,
      store: async () => (await keeper?.store(consumer)) ?? true,
      publish: (result) => processing.publish(result, locate([], result.failures)),
    })
  }

  /** Runs each record of the frames that has ended an owner before. @returns Why the instance cannot continue. */
  async tryAlone(frames: readonly TakenFrame[]): Promise<Ending | undefined> {
    const { consumer, reactions } = this.#options
    for (const frame of frames) {
      if (attemptsAt(frame) === 0) continue
      const result = await this.#run([aloneOf(frame, attemptsAt(frame))], () => consumer.done(frame, 1))
      if (result.fatal !== undefined) return reactions.settleBroken([frame], result)
    }
    return undefined
  }

  /** Runs the next record of a frame, or the due timers. */
  async runNext(frame: TakenFrame | undefined): Promise<Tried> {
    const { consumer, reactions, aside } = this.#options
    const before = reactions.errors + aside.size
    const frames = frame === undefined ? [] : [aloneOf(frame, attemptsAt(frame))]
    const result = await this.#run(frames, () => consumer.done(frame!, 1))
    const failed = reactions.errors + aside.size > before
    if (result.fatal === undefined) return { failed }
    const ending = reactions.settleBroken(frame === undefined ? [] : [frame], result)
    return { failed: true, ending }
  }

  /** True if a record set aside or a suspected timer is due. Not while a version is on trial, which is judged by records as they come. */
  get isDue(): boolean {
    return this.dueInMs <= 0
  }

  /** Time until then; infinite if nothing waits. */
  get dueInMs(): number {
    const { aside, clock, onTrial } = this.#options
    if (onTrial()) return Number.POSITIVE_INFINITY
    return this.timers.isDue ? 0 : aside.nextDueMs - clock.monotonicMs()
  }

  async retryDue(): Promise<Ending | undefined> {
    const { aside, clock, onTrial } = this.#options
    if (onTrial()) return undefined
    const ending = this.timers.isDue ? await this.timers.run() : undefined
    return ending ?? (await this.#retry(aside.take(clock.monotonicMs())))
  }

  /** Settles everything set aside: each record gets its last attempt now, or none if there is no isolate. */
  async endAside(): Promise<void> {
    const { aside, reactions, clock, onTrial } = this.#options
    const isolate = this.#options.isolate()
    const lateMs = clock.monotonicMs() + asideWaitMs
    const cancel = clock.after(asideEndMs, () => isolate.kill())
    while (aside.size > 0 && !isolate.isEnded && !onTrial() && clock.monotonicMs() < lateMs)
      this.ending ??= await this.#retry(aside.takeForTheLast())
    cancel()
    reactions.giveUpAside()
  }

  async #retry(frames: readonly AloneFrame[]): Promise<Ending | undefined> {
    const { aside, reactions, clock } = this.#options
    if (frames.length === 0) return undefined
    const result = await this.#run(frames, (frame, failed) => {
      if (failed?.failure.action !== 'setAside') aside.settle(frame, clock.monotonicMs())
    })
    if (result.fatal !== undefined) return reactions.settleBroken(frames, result)
    aside.giveBack()
    return undefined
  }

  /** Runs frames of one record each until they are done. @returns The last result. */
  async #run(
    frames: readonly AloneFrame[],
    onDone: (frame: AloneFrame, failed: Failed | undefined) => void,
  ): Promise<BatchResult> {
    const { consumer, aside, stopping, processing } = this.#options
    const again = frames.some((frame) => aside.has(frame))
    let left = frames
    let running = processing.run(left)
    for (;;) {
      consumer.announce()
      const result = await running
      const { failed, rest } = processing.took(left, result, (frame, records, failures) => {
        frame.finished += records
        onDone(
          frame,
          failures.find((each) => each.frame === frame),
        )
      })
      left = rest
      processing.publish(result, failed, again)
      if (result.fatal !== undefined) return result
      if (result.pending) running = processing.resume()
      else if (stopping.aborted) return result
      else if (left.length > 0) running = processing.run(left)
      else return result
    }
  }
}
