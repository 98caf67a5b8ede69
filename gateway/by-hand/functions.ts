/**
 * Functions: deletes a function, and ends an instance.
 *
 *   FN1. What was accepted is not given up unless that is meant: a function with records in flight is deleted only if its caller says so.
 *        What an ended producer has left on disk is in flight too, and until it is taken over (orphans.ts) it is in nobody's account.
 * @module
 */
import { randomUUID } from 'node:crypto'
import type { NatsConnection } from '../../infra/bus/index.ts'
import { type Clock, sleep } from '../../infra/clock.ts'
import type { OutputLedger } from '../../infra/control/messages/accounts.ts'
import { spilledFor } from '../../infra/spill/index.ts'
import {
  type CommandDocument,
  type FunctionDocument,
  paths,
  type Store,
  upsert,
} from '../../infra/store/index.ts'
import type { Ledger } from '../../sdk/api/index.ts'
import { isQueueMode } from '../../sdk/manifest/back-pressure.ts'
import type { CatalogView, LiveFunction } from '../catalog/catalog.ts'
import { refuse, unknownFunction } from '../errors.ts'

/** Counters are reported every second, so a record that has been processed may be shown as in flight for this long. */
const reportedWithinMs = 3_000
const pollMs = 50
/** How long JetStream is asked what is on disk. */
const askDiskMs = 5_000

export interface InFlight {
  readonly ledger: readonly Ledger[]
  /** Chunks on disk in nobody's account. */
  readonly left: number
}

/** FN1. @throws {CodedError} ERR_RECORDS_IN_FLIGHT */
export async function refuseInFlight(
  name: string,
  inFlightNow: () => Promise<InFlight>,
  clock: Clock,
): Promise<void> {
  const untilMs = clock.monotonicMs() + reportedWithinMs
  for (;;) {
    const { ledger, left } = await inFlightNow()
    const rows = ledger.filter(({ inFlight }) => inFlight > 0)
    if (rows.length === 0 && left === 0) return
    if (clock.monotonicMs() > untilMs) {
      const of = rows.map(({ stream, inFlight }) => `${inFlight} of '${stream}'`)
      if (left > 0)
        of.push(`${left} chunks on disk that a gateway or an instance left there, taken over in some 20 s`)
      throw refuse(
        'ERR_RECORDS_IN_FLIGHT',
        `Cannot remove '${name}': records are in flight (${of.join(', ')}) and would be given up. Let it process them first, with nobody who sends more, or say --drop (over HTTP: ?drop=true).`,
      )
    }
    await sleep(clock, pollMs)
  }
}

export interface SpillOf {
  readonly nc: NatsConnection
  readonly namespace: string
  /** The accounts of all living producers. */
  readonly outputs: () => readonly OutputLedger[]
}

/**
 * What waits on disk for a function in nobody's account.
 * @throws {CodedError} ERR_SPILL_STORE
 */
export async function leftOnDisk(
  { name, version }: Pick<LiveFunction, 'name' | 'version'>,
  { nc, namespace, outputs }: SpillOf,
): Promise<number> {
  const inputs = Object.values(version.manifest.istreams)
  if (!inputs.some(({ backPressure }) => isQueueMode(backPressure))) return 0
  const spilled = await spilledFor(nc, namespace, name, askDiskMs)
  const living = new Set(outputs().map(({ spiller }) => spiller))
  return spilled.reduce((sum, { producer, chunks }) => sum + (living.has(producer) ? 0 : chunks), 0)
}

/** Marks a function as deleted: the scheduler drains its instances and then removes it. */
export async function deleteFunction(store: Store, ns: string, name: string): Promise<void> {
  await upsert<FunctionDocument>(store, paths.function(ns, name), (before) => {
    if (before === undefined) throw unknownFunction(name)
    return { ...before, deleted: true }
  })
}

/** Asks the scheduler to drain and end one instance. */
export async function killInstance(
  store: Store,
  ns: string,
  view: CatalogView,
  id: string,
  restart: boolean,
): Promise<void> {
  const live = [...view.functions.values()].find(({ status }) => status?.instances.some((i) => i.id === id))
  if (live === undefined) {
    const name = id.replace(/-\d+$/, '')
    const look = view.functions.has(name)
      ? `\`concord fn inspect ${name}\` shows those that '${name}' has.`
      : `There is no function '${name}' either; \`concord fn ls\` shows those there are.`
    throw refuse('ERR_INSTANCE_UNKNOWN', `Cannot kill instance '${id}': there is none of that id. ${look}`)
  }
  const command: CommandDocument = {
    schema: 1,
    kind: 'killInstance',
    function: live.name,
    instance: id,
    restart,
  }
  await store.create(paths.command(ns, randomUUID()), command)
}
