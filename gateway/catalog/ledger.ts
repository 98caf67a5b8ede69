/**
 * Ledger: where the records of a function's inputs are (I7). It is the sum of the producers' accounts alone, so it
 * does not depend on the counts of a consumer that died. Only the records missing from state come from their owners
 * (state-lost.ts).
 * @module
 */
import { addLedgers } from '../../infra/bus/index.ts'
import { functionOfConsumer } from '../../infra/control/index.ts'
import type { OutputLedger } from '../../infra/control/messages/accounts.ts'
import type { Heartbeat } from '../../infra/control/messages/heartbeat.ts'
import type { Ledger } from '../../sdk/api/index.ts'
import type { CatalogView, LiveFunction } from './catalog.ts'
import { type Heartbeats, reportOf } from './heartbeats.ts'
import type { Sent } from './sent-before.ts'

/** The accounts of gateways and other clients. @param own Those of this gateway. */
export function outputsOfClients(
  clients: readonly Heartbeat[],
  own: { readonly id: string; readonly rows: readonly OutputLedger[] },
  sent: Sent,
): OutputLedger[] {
  const others = clients.filter(({ id }) => id !== own.id && !sent.over.has(id))
  const ours = sent.over.has(own.id) ? [] : own.rows // this gateway was given up, and has sent nothing since
  return [...ours, ...sent.rows, ...others.flatMap(({ outputs = [] }) => outputs)]
}

/** The accounts of functions: living runners, ended runners, and removed functions. */
export function outputsOfFunctions(view: CatalogView, heartbeats: Heartbeats): OutputLedger[] {
  const rows: OutputLedger[] = []
  for (const { name, document, status } of view.functions.values()) {
    const isBequeathed = ({ consumer }: OutputLedger): boolean => {
      const reader = view.functions.get(functionOfConsumer(consumer))?.status
      return reader?.former?.of[name] === document.createdAtMs
    }
    rows.push(...(status?.former?.rows ?? []))
    rows.push(...(status?.ended.outputs ?? []).filter((row) => !isBequeathed(row)))
    for (const instance of status?.instances ?? []) {
      if (instance.taskId !== undefined)
        rows.push(...(reportOf(heartbeats.of(instance.taskId), instance)?.outputs ?? []))
    }
  }
  return rows
}

/** The longest lag of a function's inputs, by what is heard. */
export function lagOf({ name, version }: LiveFunction, outputs: readonly OutputLedger[]): { lagMs?: number } {
  const rows = ledgerOf(name, Object.keys(version.manifest.istreams), outputs)
  const known = rows.flatMap(({ lagMs }) => lagMs ?? [])
  const lagMs = Math.max(0, ...known)
  const isKnown = lagMs > 0 || (rows.length > 0 && known.length === rows.length)
  return isKnown ? { lagMs } : {}
}

/**
 * One row for each input; the instances of a broadcast input are added up. In each row: sent = processed + dropped +
 * inFlight + unaccounted.
 */
export function ledgerOf(
  consumer: string,
  streams: readonly string[],
  outputs: readonly OutputLedger[],
  stateLost: ReadonlyMap<string, number> = new Map(),
): Ledger[] {
  return streams.map((stream) => {
    const rows = outputs.filter(
      (row) => functionOfConsumer(row.consumer) === consumer && row.stream === stream,
    )
    const total = rows.reduce<OutputLedger>(addLedgers, {
      stream,
      consumer,
      sent: 0,
      acked: 0,
      dropped: {},
      unaccounted: 0,
    })
    const { sent, acked, dropped, unaccounted, spilled, spilledBytes, isAtMost } = total
    const droppedAll = Object.values(dropped).reduce((sum, records) => sum + records, 0)
    const inFlight = sent - acked - unaccounted
    const lagMs = inFlight === 0 ? 0 : total.lagMs
    return {
      stream,
      sent,
      processed: acked - droppedAll,
      dropped: { ...dropped },
      inFlight,
      ...(lagMs !== undefined && { lagMs }),
      unaccounted,
      ...(isAtMost && { unaccountedIsAtMost: true }),
      stateLost: stateLost.get(stream) ?? 0,
      ...(spilled === undefined ? {} : { spilled, spilledBytes }),
    }
  })
}
