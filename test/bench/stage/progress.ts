/**
 * How far a row of functions has come, by the accounts in their heartbeats (I7): for benchmarks whose records do not each
 * come out at the end.
 * @module
 */
import type { InstanceReport } from '../../../infra/control/messages/heartbeat.ts'
import type { Checks } from '../suite/benchmark.ts'
import type { Runner } from './runner.ts'

/** Who says how far it is. */
export type Reporter = Pick<Runner, 'pids' | 'beat'>

/** Heartbeats, one a second, without anything new, after which what has not come is lost. */
const stallBeats = 15

/**
 * Waits until each function has processed what the one before sent it, the first `planned` records; then adds up what is
 * missing (dropped ones are), or was processed beyond that.
 */
export async function processedAll(runners: readonly Reporter[], planned: number): Promise<Checks> {
  let lost = 0
  let repeated = 0
  let sent = planned
  for (const runner of runners) {
    const report = await atRest(runner, sent)
    const processed = sum(report.inputs, (row) => row.processed)
    lost += Math.max(0, sent - processed)
    repeated += Math.max(0, processed - sent)
    sent = report.recordsOut
  }
  // The order within a partition is the channels' (C1 of consumer.ts): a frame out of turn is not taken, so none can be counted here.
  return { lost, repeated, reordered: 0 }
}

/** The first report in which so many records are done, or the one with which nothing moved any more. */
async function atRest(runner: Reporter, expected: number): Promise<InstanceReport> {
  let quiet = 0
  for (let last = -1; ; ) {
    const report = (await runner.beat()).instances[0]!
    const done = sum(
      report.inputs,
      (row) => row.processed + sum(Object.values(row.dropped), (count) => count),
    )
    quiet = done === last ? quiet + 1 : 0
    if (done >= expected || quiet >= stallBeats) return report
    last = done
  }
}

function sum<T>(rows: readonly T[], of: (row: T) => number): number {
  return rows.reduce((total, row) => total + of(row), 0)
}
