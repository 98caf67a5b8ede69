/**
 * Rehearsal: before it takes over, a version processes copies of current records, and the results are discarded, so
 * that its code is compiled when its first batch counts.
 * @module
 */
import { giveBackMemory } from '../../infra/bus/index.ts'
import type { Clock } from '../../infra/clock.ts'
import { behind, type InputFrame, type SingleIsolate } from '../isolate/index.ts'

/** The largest copy of a batch. */
const sampleBytesMax = 256 * 1024

/** Copies a batch for all who have asked: several versions may be about to take over, or to run beside it. */
export class Sampler {
  readonly #clock: Clock
  readonly #askers = new Set<(frames: readonly InputFrame[]) => void>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** The next batch, or the first frames of it; undefined if none comes within `ms`. */
  async next(ms: number): Promise<readonly InputFrame[] | undefined> {
    const { promise, resolve } = Promise.withResolvers<readonly InputFrame[] | undefined>()
    const cancel = this.#clock.after(ms, () => resolve(undefined))
    this.#askers.add(resolve)
    return await promise.finally(() => {
      cancel()
      this.#askers.delete(resolve)
    })
  }

  /** Sees a batch before it is run. */
  see(batch: readonly InputFrame[]): void {
    if (batch.length === 0 || this.#askers.size === 0) return
    const sample = copyOf(batch)
    for (const answer of this.#askers) answer(sample)
  }
}

function copyOf(batch: readonly InputFrame[]): InputFrame[] {
  let bytes = 0
  const sample: InputFrame[] = []
  for (const frame of batch) {
    bytes += frame.bytes.length
    if (bytes > sampleBytesMax && sample.length > 0) break
    sample.push({ ...frame, bytes: frame.bytes.slice(), skip: 0 })
  }
  return sample
}

/**
 * Runs the rehearsal. The version starts without state, and everything it does is discarded. Errors are ignored too,
 * since the records meet another state than they should.
 * @throws {CodedError} Why the isolate has ended.
 */
export async function rehearse(
  isolate: SingleIsolate,
  sample: readonly InputFrame[],
  nowMs: number,
): Promise<void> {
  await isolate.rehearse(async () => {
    let frames = sample
    while (frames.length > 0) {
      let result = await isolate.run(frames, nowMs)
      let { records } = result
      while (result.pending) {
        isolate.askToYield()
        for (const { frame } of result.outputs()) giveBackMemory(frame)
        result = await isolate.resume()
        records += result.records
      }
      for (const { frame } of result.outputs()) giveBackMemory(frame)
      if (result.fatal !== undefined) return
      const more = result.threw === undefined ? records : records + 1
      if (more === 0) return
      frames = behind(frames, more)
    }
  })
}
