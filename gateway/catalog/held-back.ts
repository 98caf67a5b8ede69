/**
 * HeldBack: which functions hold a stream back, or will, since they do not run or are too slow: records wait for them in
 * mode `block` (docs/design/0002-channels.md, "A consumer without an owner"). Pure.
 * @module
 */
import type { OutputLedger } from '../../infra/control/messages/accounts.ts'
import type { InstanceStatus } from '../../infra/store/index.ts'
import type { HeldBack, Ledger } from '../../sdk/api/index.ts'
import type { CatalogView, LiveFunction } from './catalog.ts'
import type { Heartbeats } from './heartbeats.ts'
import { ledgerOf } from './ledger.ts'
import { stateNow } from './views.ts'

/** A reader that runs is too slow once a record has waited for it this long. */
const slowMs = 10_000

/**
 * Who holds back the inputs and outputs of a function; it may be itself, if it is too slow.
 * @param outputs The rows of all producers.
 */
export function heldBackBy(
  { name, version: { manifest } }: LiveFunction,
  view: CatalogView,
  heartbeats: Heartbeats,
  outputs: readonly OutputLedger[],
): HeldBack[] {
  const streams = [...Object.keys(manifest.istreams), ...manifest.ostreams]
  const readers = [...view.functions.values()]
  const waitFor = (reader: LiveFunction, of: readonly string[]) => waiting(reader, of, heartbeats, outputs)
  const isHeld = (reader: LiveFunction): boolean =>
    readers.some((other) => other !== reader && waitFor(other, reader.version.manifest.ostreams).some(isLate))
  return readers.flatMap((reader) => {
    const rows = waitFor(reader, streams)
    if (rows.length === 0) return []
    const cause = isAbsent(reader, heartbeats) ? undefined : isHeld(reader) ? 'heldBack' : 'slow'
    if (reader.name === name && cause !== 'slow') return [] // its instances or its readers are the reason
    return rows.map(({ stream, inFlight, lagMs }) => ({
      ...{ stream, function: reader.name, records: inFlight },
      ...(lagMs !== undefined && { lagMs }),
      ...{
        instancesRunning: atWork(reader, heartbeats).length,
        instancesWanted: reader.document.instances,
      },
      ...(cause && { cause }),
    }))
  })
}

/** The rows of a function's inputs among these streams on which records wait for it and do not get on. */
function waiting(
  live: LiveFunction,
  streams: readonly string[],
  heartbeats: Heartbeats,
  outputs: readonly OutputLedger[],
): Ledger[] {
  const isStuck = isAbsent(live, heartbeats)
  return ledgerOf(live.name, blockedBy(live, new Set(streams)), outputs).filter(
    (row) => row.inFlight > 0 && (isStuck || isLate(row)),
  )
}

function isLate({ lagMs = 0 }: Ledger): boolean {
  return lagMs >= slowMs
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
