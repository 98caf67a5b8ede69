/**
 * HeldBack: which functions that do not run hold a stream back, or will: records wait for them in mode `block`
 * (docs/design/0002-channels.md, "A consumer without an owner"). Pure.
 * @module
 */
import type { OutputLedger } from '../../infra/control/messages/accounts.ts'
import type { InstanceStatus } from '../../infra/store/index.ts'
import type { HeldBack } from '../../sdk/api/index.ts'
import type { CatalogView, LiveFunction } from './catalog.ts'
import type { Heartbeats } from './heartbeats.ts'
import { ledgerOf } from './ledger.ts'
import { stateNow } from './views.ts'

/** Who holds back the inputs and outputs of a function. @param outputs The rows of all producers. */
export function heldBackBy(
  { name, version: { manifest } }: LiveFunction,
  view: CatalogView,
  heartbeats: Heartbeats,
  outputs: readonly OutputLedger[],
): HeldBack[] {
  const streams = new Set([...Object.keys(manifest.istreams), ...manifest.ostreams])
  return [...view.functions.values()].flatMap((reader) => {
    if (reader.name === name || !isAbsent(reader, heartbeats)) return []
    return ledgerOf(reader.name, blockedBy(reader, streams), outputs)
      .filter(({ inFlight }) => inFlight > 0)
      .map(({ stream, inFlight, lagMs }) => ({
        ...{ stream, function: reader.name, records: inFlight },
        ...(lagMs !== undefined && { lagMs }),
        ...{
          instancesRunning: atWork(reader, heartbeats).length,
          instancesWanted: reader.document.instances,
        },
      }))
  })
}

function blockedBy({ version: { manifest } }: LiveFunction, streams: ReadonlySet<string>): string[] {
  const inputs = Object.entries(manifest.istreams)
  return inputs.flatMap(([stream, { backPressure }]) =>
    backPressure === 'block' && streams.has(stream) ? [stream] : [],
  )
}

/** True if some of its partitions have no owner: no instance is at work, or one that is not keeps its partitions. */
function isAbsent(live: LiveFunction, heartbeats: Heartbeats): boolean {
  const working = atWork(live, heartbeats)
  if (working.length === 0) return true
  return (live.status?.instances ?? []).some((one) => (one.shares ?? []).length > 0 && !working.includes(one))
}

function atWork({ status }: LiveFunction, heartbeats: Heartbeats): InstanceStatus[] {
  return (status?.instances ?? []).filter((one) =>
    ['running', 'swapping', 'draining'].includes(stateNow(one, heartbeats)),
  )
}
