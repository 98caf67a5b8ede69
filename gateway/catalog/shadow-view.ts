/**
 * ShadowView: a shadow as the API shows it, while it is beside, from documents and heartbeats. Pure.
 * @module
 */
import type { OutcomeDocument } from '../../infra/store/index.ts'
import { type ShadowView, shadowSummary, sumOfShadows } from '../../sdk/versions/shadow.ts'
import type { LiveFunction } from './catalog.ts'
import { type Heartbeats, reportOf } from './heartbeats.ts'

/** Whether the wanted version is a shadow: it gets copies of the records of the good one. */
export function isShadow({ document, version }: Pick<LiveFunction, 'document' | 'version'>): boolean {
  const { good, atOnce, shadow } = document
  if (version.manifest.rollout?.shadow === undefined || good === undefined || good === document.version)
    return false
  return atOnce !== true && !(shadow?.version === document.version && shadow.promoted === true)
}

/** @param nowMs The value of `untilMs` until the shadow is over. */
export function shadowNow(live: LiveFunction, heartbeats: Heartbeats, nowMs: number): ShadowView | undefined {
  if (!isShadow(live)) return undefined
  const { name, document, version, status } = live
  const reports = (status?.instances ?? []).flatMap((one) => {
    const beat = one.taskId === undefined ? undefined : heartbeats.of(one.taskId)
    const report = reportOf(beat, one)?.shadow
    return report?.version === document.version ? [report] : []
  })
  const evidence = sumOfShadows(reports.map((report) => report.evidence))
  const { bakeMs } = version.manifest.rollout!.shadow!
  return {
    ...{ name, version: document.version, from: document.good!, state: 'working', bakeMs, evidence },
    ...{ sinceMs: document.shadow?.sinceMs ?? nowMs, untilMs: nowMs, reason: shadowSummary(evidence) },
    instances: reports.filter(({ state }) => state !== 'preparing').length,
    instancesOf: document.instances,
  }
}

/** A shadow that is over, as it was recorded. Undefined if the version was no shadow, or none of it was heard. */
export function shadowThen(
  { name, version, bakeMs }: { readonly name: string; readonly version: number; readonly bakeMs: number },
  outcome: OutcomeDocument | undefined,
): ShadowView | undefined {
  if (outcome?.shadow === undefined) return undefined
  const { shadow, state, reason } = outcome
  return {
    ...{ name, version, bakeMs, ...shadow, state: state === 'failed' ? 'failed' : 'over' },
    reason: state === 'live' ? shadowSummary(shadow.evidence) : reason,
  }
}
