/**
 * Processing: the way of a batch: into the isolate, and its result out again.
 *
 *     run ──► result ──► took: failures found, positions told, records done, failures held ──► publish: outputs, reactions, acknowledged
 *
 *   PR1. Results are taken and published in the order of the batches, each once; a batch may be run between the two (I2).
 *   PR2. Before any output of a batch leaves, its producers are told that its records were touched (K2 of worker.ts).
 * Design: docs/design/0005-runner.md
 * @module
 */
import type { Consumer, Producer, TakenFrame } from '../../infra/bus/index.ts'
import type { Clock } from '../../infra/clock.ts'
import type { StateKeeper } from '../checkpoint/state-keeper.ts'
import type { AloneFrame } from '../failures/alone.ts'
import type { SetAside } from '../failures/aside.ts'
import { type Failed, locate } from '../failures/failed.ts'
import type { Reactions } from '../failures/reactions.ts'
import type { BatchResult, Isolate } from '../isolate/index.ts'
import { tellOpen } from '../succession/open-records.ts'
import type { Sampler } from '../succession/rehearsal.ts'
import type { WorkTime } from '../usage/work-time.ts'
import type { Acknowledger } from './acknowledger.ts'
import { finish } from './taken-frames.ts'

export interface ProcessingOptions {
  readonly clock: Clock
  readonly consumer: Consumer
  readonly producer: Producer
  readonly aside: SetAside
  readonly reactions: Reactions
  readonly acknowledger: Acknowledger
  readonly keeper: StateKeeper | undefined
  readonly sampler: Sampler
  readonly time: WorkTime
  /** The working isolate. */
  readonly isolate: () => Isolate
  /** A batch begins. */
  readonly onRun: () => void
}

export class Processing {
  readonly #options: ProcessingOptions
  readonly counts = { recordsIn: 0, recordsOut: 0, retries: 0, timersFired: 0, batches: 0 }

  constructor(options: ProcessingOptions) {
    this.#options = options
  }

  /** Runs a batch, of frames whose finished records are left out. */
  run(frames: readonly AloneFrame[]): Promise<BatchResult> {
    const { sampler, time, clock, aside, isolate, onRun } = this.#options
    const input = frames.map((frame) =>
      frame.finished === 0 ? frame : { ...frame, skip: frame.skip + frame.finished },
    )
    sampler.see(input)
    onRun()
    time.called()
    return isolate().run(input, clock.nowMs(), { lines: aside.lines })
  }

  /** Continues a batch with a pending callback. */
  resume(): Promise<BatchResult> {
    this.#options.time.called()
    return this.#options.isolate().resume()
  }

  /**
   * Takes the result of a batch.
   * @param done Marks so many more of a frame's records as finished. Default: in their channel.
   * @returns The failures, and the frames that are not finished, to be processed before anything newer.
   */
  took<Frame extends TakenFrame>(
    batch: readonly Frame[],
    result: BatchResult,
    done: (frame: Frame, records: number, failed: readonly Failed[]) => void = (frame, records) =>
      this.#options.consumer.done(frame, records),
  ): { readonly failed: readonly Failed[]; readonly rest: readonly Frame[] } {
    const { consumer, isolate, aside, clock } = this.#options
    const failed = locate(batch, result.failures)
    tellOpen(consumer, isolate().format, batch, result)
    const rest = finish(batch, result.records, (frame, records) => done(frame, records, failed))
    aside.hold(failed, clock.monotonicMs())
    return { failed, rest }
  }

  /** @param again The records were set aside before, and were counted then. */
  publish(result: BatchResult, failed: readonly Failed[], again = false): void {
    const { producer, consumer, acknowledger, reactions, keeper } = this.#options
    const outputs = result.outputs()
    if (outputs.length > 0 || failed.length > 0) acknowledger.announce() // PR2
    for (const { stream, partition, frame, count } of outputs) producer.send(stream, partition, frame, count)
    reactions.take(failed)
    this.counts.batches += 1
    if (!again) this.counts.recordsIn += result.records
    this.counts.retries += result.retries
    this.counts.recordsOut += result.recordsOut
    this.counts.timersFired += result.timersFired
    keeper?.begin(consumer, () => acknowledger.acknowledge())
    acknowledger.acknowledge()
  }
}
