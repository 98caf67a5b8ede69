/**
 * SentBefore: what gateways have sent that say nothing more, as the store has it.
 *
 *   SB1. Each is counted once while its rows are being added to the sums: the sums are read last, and name whose they contain.
 *   SB2. While the store is away, what was read last stands.
 * Design: docs/design/0003-processes-and-store.md, "What gateways have sent"
 * @module
 */
import { settle } from '../../infra/control/index.ts'
import type { OutputLedger } from '../../infra/control/messages.ts'
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
  /** Gateways of whom all is in the rows, whatever is still heard of them. */
  readonly over: ReadonlySet<string>
  /** Gateways that have not said that it is all: they speak, or were killed. */
  readonly open: readonly string[]
}

/** What was sent to a function. @param speaks Whether a gateway speaks for itself. */
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

const read = async (
  store: Store,
  namespace: string,
  { document, version }: Parameters<SentTo>[0],
  speaks: Parameters<SentTo>[1],
): Promise<Sent> => {
  const over = new Set<string>()
  const open: string[] = []
  const found: { readonly id: string; readonly stream: string; readonly rows: readonly OutputLedger[] }[] = []
  const streams = Object.keys(version.manifest.istreams)
  const rowsOf = (sent: SentDocument | undefined) =>
    (sent?.rows ?? []).filter(({ createdAtMs }) => createdAtMs === document.createdAtMs)
  const sentBy = async (id: string, stream: string) =>
    (await store.get<SentDocument>(paths.sent(namespace, id, stream)))?.value
  for (const id of await store.list(paths.senders(namespace))) {
    const state = (await store.get<SenderDocument>(paths.sender(namespace, id)))?.value.state
    if (state === undefined) continue
    if (state === 'open') open.push(id)
    else over.add(id)
    if (state === 'open' && speaks(id)) continue
    for (const stream of streams) {
      const rows = rowsOf(await sentBy(id, stream))
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

/** Of one that was killed: it was allowed to have out what it had by its last word, as far as it did not lie on disk. */
export function asKilled(row: OutputLedger): OutputLedger {
  return { ...row, allowance: row.sent - (row.spilled ?? 0) - row.acked }
}

function untilAsked(row: OutputLedger): OutputLedger {
  return settle(asKilled(row), undefined, { topology: new Map(), isOver: false })
}
