/**
 * ShadowView: a shadow as the API shows it, while it is beside, from documents and heartbeats. Pure.
 * @module
 */
import type { OutcomeDocument } from '../../infra/store/index.ts'
import { type ShadowView, shadowSummary, sumOfShadows } from '../../sdk/versions/shadow.ts'
import type { LiveFunction } from './catalog.ts'
import { type Heartbeats, reportOf } from './heartbeats.ts'

/** The wanted version is given copies of what another one is given. */
export function isShadow({ document, version }: Pick<LiveFunction, 'document' | 'version'>): boolean {
  const { good, atOnce, shadow } = document
  if (version.manifest.rollout?.shadow === undefined || good === undefined || good === document.version)
    return false
  return atOnce !== true && !(shadow?.version === document.version && shadow.promoted === true)
}

/** @param nowMs What `untilMs` says as long as it is not over. */
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

/** What is kept of one that is over; undefined: the version was none, or nothing was heard of it. */
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
