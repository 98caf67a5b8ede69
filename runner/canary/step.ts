/**
 * Step: who has which keys at a step of a canary, and who hears of what came of them.
 * Design: docs/design/0026-rollouts.md
 * @module
 */
import type { CanaryAssignment } from '../../infra/control/messages/assignment.ts'
import { verdict } from '../../sdk/runtime/index.ts'
import { type CanaryShares, sharesOf } from '../../sdk/versions/canary.ts'
import type { SingleIsolate } from '../isolate/index.ts'
import type { Witness } from '../shadow/witness.ts'
import { bucketOf, type Measures, type Side } from './measures.ts'
import { tally } from './tally.ts'

export interface Step {
  readonly shares: CanaryShares
  /** A call of a side is about to be made, on a batch whose keys have these points, from that record on. */
  readonly onCall: (side: Side, isolate: SingleIsolate, points: Uint16Array, from: number) => void
  /** @param ms See timed-call.ts. */
  readonly onCalled: (side: Side, isolate: SingleIsolate, records: number, ms: number) => void
  /** The new version threw where the one before did not. */
  readonly onRegression: (error: string) => void
  /** The control failed so often. */
  readonly onControlFailed: (records: number) => void
  /** Sees the control's calls. */
  readonly witness?: Witness | undefined
}

/** A step of which all is measured. */
export function measuredStep(
  wanted: CanaryAssignment,
  measures: Measures,
  witness: Witness | undefined,
): Step {
  const { metric } = wanted.rules
  const shares = sharesOf(wanted.percent, wanted.version)
  return {
    shares,
    witness,
    onCall: (side, isolate, points, from) => {
      const own = side === 'rest' ? undefined : shares[side]
      if (side === 'rest' || own === undefined) return isolate.watch(undefined)
      let at = from
      const isMetric = (number: number): boolean =>
        metric !== undefined && isolate.metricName(number) === metric.name
      isolate.watch((log) => {
        if (side === 'control') witness?.add(log)
        tally(log, isMetric, (done) => {
          const point = points[at++]!
          if (done.verdict === verdict.elsewhere) return
          measures.record(side, bucketOf(point, own), done)
        })
      })
    },
    onCalled: (side, isolate, records, ms) => {
      isolate.watch(undefined)
      measures.call(side, records, ms)
    },
    onRegression: (error) => measures.regression(error),
    onControlFailed: (records) => {
      for (let i = 0; i < records; i++) measures.controlFailed()
    },
  }
}
