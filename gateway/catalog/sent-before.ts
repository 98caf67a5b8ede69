/**
 * SentBefore: what gateways had sent that no longer report, from the store.
 *
 *   SB1. A gateway is counted once, even while its rows are being added to the sums: the sums are read last, and name
 *        the gateways that they include.
 *   SB2. While the store is away, the last reading is used.
 * Design: docs/design/0003-processes-and-store.md, "What gateways have sent"
 * @module
 */
import { functionOfConsumer, settle } from '../../infra/control/index.ts'
import type { OutputLedger } from '../../infra/control/messages/accounts.ts'
import {
  foldedSender,
  paths,
  type SenderDocument,
  type SentDocument,
  type Store,
} from '../../infra/store/index.ts'
import type { LiveFunction } from './catalog.ts'

export interface Sent {
  readonly rows: readonly OutputLedger[]
  /** Gateways whose rows are complete, even if a heartbeat of theirs is still fresh. */
  readonly over: ReadonlySet<string>
  /** Gateways that have sent to the function and whose rows are not final: they still report, or were killed. */
  readonly open: readonly string[]
}

/** Returns what was sent to a function. @param speaks Whether a gateway reports for itself. */
export type SentTo = (
  live: Pick<LiveFunction, 'name' | 'document' | 'version'>,
  speaks: (gatewayId: string) => boolean,
) => Promise<Sent>

export function sentBefore(store: Store, namespace: string): SentTo {
  const last = new Map<string, Sent>()
  return async (live, speaks) => {
    try {
      const sent = await read(store, namespace, live, speaks)
      last.set(live.name, sent)
      return sent
    } catch {
      return last.get(live.name) ?? { rows: [], over: new Set(), open: [] } // SB2
    }
  }
}

async function read(
  store: Store,
  namespace: string,
  { name, document, version }: Parameters<SentTo>[0],
  speaks: Parameters<SentTo>[1],
): Promise<Sent> {
  const over = new Set<string>()
  const open: string[] = []
  const found: { readonly id: string; readonly stream: string; readonly rows: readonly OutputLedger[] }[] = []
  const streams = Object.keys(version.manifest.istreams)
  const isToIt = ({ consumer }: OutputLedger) => functionOfConsumer(consumer) === name
  const rowsOf = (sent: SentDocument | undefined) =>
    (sent?.rows ?? []).filter(({ createdAtMs }) => createdAtMs === document.createdAtMs)
  const sentBy = async (id: string, stream: string) =>
    (await store.get<SentDocument>(paths.sent(namespace, id, stream)))?.value
  for (const id of await store.list(paths.senders(namespace))) {
    const state = (await store.get<SenderDocument>(paths.sender(namespace, id)))?.value.state
    if (state === undefined) continue
    if (state !== 'open') over.add(id)
    for (const stream of streams) {
      const rows = rowsOf(await sentBy(id, stream))
      if (state === 'open' && rows.some(isToIt) && !open.includes(id)) open.push(id)
      if (state === 'open' && speaks(id)) continue
      found.push({ id, stream, rows: state === 'open' ? rows.map(untilAsked) : rows })
    }
  }
  const sums = await Promise.all(streams.map(async (stream) => await sentBy(foldedSender, stream)))
  const isFolded = ({ id, stream }: (typeof found)[number]) =>
    sums[streams.indexOf(stream)]?.folded?.includes(id) === true
  return {
    rows: [...sums.flatMap(rowsOf), ...found.filter((one) => !isFolded(one)).flatMap(({ rows }) => rows)],
    ...{ over, open },
  }
}

/** The row of a killed gateway: its allowance is what it had out when it last wrote, without what was on disk. */
export function asKilled(row: OutputLedger): OutputLedger {
  return { ...row, allowance: row.sent - (row.spilled ?? 0) - row.acked }
}

function untilAsked(row: OutputLedger): OutputLedger {
  return settle(asKilled(row), undefined, { topology: new Map(), isOver: false })
}
