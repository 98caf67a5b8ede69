/**
 * Followers: readers over HTTP that hold a stream back, and when a stream stops waiting for one.
 *
 *   FO1. A follower is dropped when its document was not renewed for `followerMs`; or after `gatewaySilenceMs`, if
 *        its gateway was silent as long and so has ended. Before a document is removed it is read again, in case it
 *        was renewed meanwhile.
 * @module
 */
import type { Heartbeat } from '../../infra/control/messages/heartbeat.ts'
import type { Draft } from './state/draft.ts'
import type { Wanted } from './state/state.ts'
import { timings } from './state/timings.ts'

/** Notes when each follower was last renewed. @returns Whether the followers are the same as before. */
export function seeFollowers(draft: Draft, { followers }: Wanted): boolean {
  const known = draft.state.followersSeen
  const seen = new Map<string, { readonly renewedAtMs: number; readonly seenAtMs: number }>()
  for (const [stream, byId] of followers) {
    for (const [id, { renewedAtMs }] of byId) {
      const key = `${stream}/${id}`
      const before = known.get(key)
      seen.set(key, before?.renewedAtMs === renewedAtMs ? before : { renewedAtMs, seenAtMs: draft.nowMs })
    }
  }
  draft.state.followersSeen = seen
  return seen.size === known.size && [...seen.keys()].every((key) => known.has(key))
}

export function observeGateway(draft: Draft, { kind, id, state }: Heartbeat): void {
  if (kind !== 'gateway' || state === 'stopped') return
  const fresh = [...draft.state.gatewaysHeard].filter(([, atMs]) => atMs > draft.nowMs - forgottenMs)
  draft.state.gatewaysHeard = new Map(fresh).set(id, draft.nowMs)
}

/** Restarts the silence of every gateway: the bus was away, so no gateway could be heard. */
export function forgiveGateways(draft: Draft): void {
  draft.state.gatewaysHeard = new Map([...draft.state.gatewaysHeard.keys()].map((id) => [id, draft.nowMs]))
}

/** Removes the documents of followers that are gone (FO1). */
export function dropFollowers(draft: Draft): void {
  const seen = new Map(draft.state.followersSeen)
  for (const [stream, byId] of draft.state.wanted.followers) {
    for (const [follower, { gateway }] of byId) {
      const key = `${stream}/${follower}`
      const at = seen.get(key)
      if (at === undefined || !draft.isDue(undefined, goneAtMs(draft, at.seenAtMs, gateway))) continue
      seen.set(key, { ...at, seenAtMs: draft.nowMs })
      draft.wakeAt(undefined, draft.nowMs + timings.gatewaySilenceMs)
      draft.act({ kind: 'removeFollower', stream, follower, renewedAtMs: at.renewedAtMs })
    }
  }
  draft.state.followersSeen = seen
}

function goneAtMs(draft: Draft, seenAtMs: number, gateway: string): number {
  const overdueMs = seenAtMs + timings.followerMs
  const heardMs = draft.state.busUp ? draft.state.gatewaysHeard.get(gateway) : undefined
  if (heardMs === undefined) return overdueMs
  return Math.min(overdueMs, Math.max(seenAtMs, heardMs) + timings.gatewaySilenceMs)
}

/** Longer than any follower's document is kept. */
const forgottenMs = 60_000
