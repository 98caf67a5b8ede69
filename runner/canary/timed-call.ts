/**
 * TimedCall: one call on a batch, to the end of the callback that waits.
 *
 *   TM1. The time is that in the isolate, and what its callbacks waited. The way there is nobody's slowness: the first call of a
 *        batch wakes a thread, which on a busy machine waits for a CPU before it begins.
 * Design: docs/design/0026-rollouts.md
 * @module
 */
import { type BatchResult, Results, type SingleIsolate } from '../isolate/index.ts'

export async function timedCall(
  isolate: SingleIsolate,
  nowMs: () => number,
  run: () => Promise<BatchResult>,
): Promise<{ readonly result: BatchResult; readonly ms: number }> {
  const results = new Results()
  let [records, elsewhere] = [0, 0]
  const secondsBefore = isolate.cpuSeconds
  let last = await run()
  let ms = Math.max(0, isolate.cpuSeconds - secondsBefore) * 1000 // it counts nothing any more once it has ended
  for (;;) {
    results.add(last, records)
    records += last.records
    elsewhere += last.elsewhere
    if (!last.pending) break
    const waitsMs = nowMs()
    last = await isolate.resume()
    ms += nowMs() - waitsMs
  }
  const { threw } = last
  return { result: { ...results.total(records, last, true), elsewhere, ...(threw && { threw }) }, ms }
}
