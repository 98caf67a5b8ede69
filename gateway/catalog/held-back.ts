/**
 * HeldBack: who holds up the streams of a function, or a stream, as the API shows it: each with the figures that show it. Pure.
 * Design: docs/design/0038-who-can-know.md
 * @module
 */
import { functionOfConsumer, holdersOf } from '../../infra/control/index.ts'
import type { OutputLedger } from '../../infra/control/messages/accounts.ts'
import type { InstanceStatus } from '../../infra/store/index.ts'
import type { HeldBack } from '../../sdk/api/index.ts'
import { isQueueMode } from '../../sdk/manifest/back-pressure.ts'
import { type Bottleneck, bottlenecks, type PipelineReader, type Waiting } from './bottleneck.ts'
import type { CatalogView, LiveFunction } from './catalog.ts'
import type { Heartbeats } from './heartbeats.ts'
import { ledgerOf } from './ledger.ts'
import { stateNow } from './views.ts'

/** An instance that works for this share of its time has none to spare. */
const busyShare = 0.8

/** What all of it is told from. */
export interface Evidence {
  readonly view: CatalogView
  readonly heartbeats: Pick<Heartbeats, 'confirms' | 'timeOf' | 'rates' | 'isSilent'>
  /** The rows of all producers. */
  readonly outputs: readonly OutputLedger[]
}

/** Who holds up the inputs and outputs of a function. It may be itself, if it is too slow: why it does not run is told elsewhere. */
export function heldBackBy({ name, version: { manifest } }: LiveFunction, evidence: Evidence): HeldBack[] {
  const found = bottlenecks(
    [...Object.keys(manifest.istreams), ...manifest.ostreams],
    readersIn(evidence),
    name,
  )
  return viewOf(
    found.filter(({ reader, cause }) => reader !== name || cause !== 'absent'),
    evidence,
  )
}

/** Who holds up a stream. */
export function streamHeldBackBy(stream: string, evidence: Evidence): HeldBack[] {
  return viewOf(bottlenecks([stream], readersIn(evidence)), evidence)
}

/** Those for whom records wait. */
function readersIn(evidence: Evidence): PipelineReader[] {
  const { view } = evidence
  const inFlight = evidence.outputs.filter(({ sent, acked, unaccounted }) => sent > acked + unaccounted)
  const rows = Map.groupBy(inFlight, ({ consumer }) => functionOfConsumer(consumer))
  const functions = [...view.functions.values()].flatMap((live) => {
    const mine = rows.get(live.name)
    return mine === undefined ? [] : [readerOf(live, mine, evidence)]
  })
  const followers = [...view.streams.values()].flatMap(({ name, followers: some }) =>
    holdersOf(some).map(
      (holder): PipelineReader => ({
        ...{ name: holder.name, isAbsent: false, time: undefined, outputs: [] },
        inputs: waiting(holder.name, [name], rows.get(holder.name) ?? []),
      }),
    ),
  )
  return [...functions, ...followers]
}

function readerOf(
  live: LiveFunction,
  rows: readonly OutputLedger[],
  { heartbeats }: Evidence,
): PipelineReader {
  const { name, version } = live
  const { istreams, ostreams } = version.manifest
  const kept = Object.keys(istreams).filter((stream) => istreams[stream]!.backPressure !== 'none')
  const queues = new Set(kept.filter((stream) => isQueueMode(istreams[stream]!.backPressure)))
  return {
    ...{ name, isAbsent: isAbsent(live, heartbeats), outputs: ostreams },
    inputs: waiting(name, kept, rows, queues),
    get time() {
      const times = timesOf(live, heartbeats)
      const blocked = times.reduce((sum, one) => sum + one.blocked, 0) / times.length
      return times.length === 0 ? undefined : { busy: Math.max(...times.map(({ busy }) => busy)), blocked }
    },
  }
}

function waiting(
  name: string,
  streams: readonly string[],
  rows: readonly OutputLedger[],
  queues: ReadonlySet<string> = new Set(),
): Waiting[] {
  return ledgerOf(name, streams, rows).map(({ stream, inFlight, lagMs }) => ({
    ...{ stream, records: inFlight, lagMs, queues: queues.has(stream) },
  }))
}

function timesOf({ status }: LiveFunction, heartbeats: Evidence['heartbeats']) {
  return (status?.instances ?? []).flatMap(({ id, taskId }) => heartbeats.timeOf(taskId, id) ?? [])
}

function viewOf(found: readonly Bottleneck[], { view, heartbeats }: Evidence): HeldBack[] {
  return found.map(({ stream, via, reader, waiting: { stream: input, records, lagMs, queues }, cause }) => {
    const live = view.functions.get(reader)
    const rates = heartbeats.rates(input, reader)
    const unheard = live && silentOf(live, heartbeats).length
    const busy = live && timesOf(live, heartbeats).filter((one) => one.busy >= busyShare).length
    return {
      ...{ stream, ...(via.length > 0 && { via: [...via], input }), reader },
      ...(live && {
        instancesRunning: atWork(live, heartbeats).length,
        instancesWanted: live.document.instances,
      }),
      ...(cause === 'slow' && busy && { instancesBusy: busy }),
      ...(cause === 'slow' && unheard && { instancesUnheard: unheard }),
      ...{ records, ...(lagMs !== undefined && { lagMs }), ...rates },
      ...{ ...(queues && { queues }), ...(cause !== 'absent' && { cause }) },
    }
  })
}

/** True if some of its partitions have no owner: no instance is at work, or one that is not keeps its partitions. */
function isAbsent(live: LiveFunction, heartbeats: Evidence['heartbeats']): boolean {
  const working = atWork(live, heartbeats)
  if (working.length === 0) return true
  return (live.status?.instances ?? []).some((one) => (one.shares ?? []).length > 0 && !working.includes(one))
}

function atWork({ status }: LiveFunction, heartbeats: Evidence['heartbeats']): InstanceStatus[] {
  return (status?.instances ?? []).filter((one) =>
    ['running', 'swapping', 'draining'].includes(stateNow(one, heartbeats)),
  )
}

/** Those that are at work as far as anybody has noted, and of which nothing is heard. */
function silentOf(live: LiveFunction, heartbeats: Evidence['heartbeats']): InstanceStatus[] {
  return atWork(live, heartbeats).filter(({ taskId }) => taskId !== undefined && heartbeats.isSilent(taskId))
}
