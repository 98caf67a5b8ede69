/**
 * Accounts: what ended instances have sent and processed, added up, so that the ledger (I7) outlives them.
 *
 * The last report of one that ended in order is exact. Of one that was killed it is up to a second old: how far it had come its
 * receivers know (gone.ts). Until it is over with those, what they have not done is in flight. Where one of them is not there
 * either, what it was allowed to have out is unaccounted.
 * Design: docs/design/0002-channels.md, "The account of a producer that is killed"
 * @module
 */
import { addTotals, type Ground, settle } from '../../infra/control/index.ts'
import type { OutputLedger } from '../../infra/control/messages.ts'
import type { Accounts, Closing } from './state/state.ts'

/** What is known of an instance that has ended. */
export type LastWords = Pick<Closing, 'report' | 'notice' | 'received'>

const nobodyKnows: Ground = { topology: new Map(), isOver: true }

/** Adds the account of an instance that has ended. But for what lies on disk: who adopts that counts it as sent. */
export function addAccounts(to: Accounts, words: LastWords, ground: Ground = nobodyKnows): Accounts {
  const { report } = words
  const outputs = new Map(to.outputs.map((row) => [rowKey(row), row]))
  for (const row of lastRows(words)) {
    const [before, last] = [outputs.get(rowKey(row)), settled(row, words.received, ground)]
    outputs.set(rowKey(row), before === undefined ? last : addTotals(before, last))
  }
  return {
    recordsIn: to.recordsIn + (report?.recordsIn ?? 0),
    recordsOut: to.recordsOut + (report?.recordsOut ?? 0),
    errors: to.errors + (report?.errors ?? 0),
    outputs: [...outputs.values()],
  }
}

function settled(row: OutputLedger, received: LastWords['received'], ground: Ground): OutputLedger {
  const open = settle(row, received, { ...ground, isOver: false })
  return ground.isOver ? atMost(open, settle(row, received, ground)) : open
}

/** What was in flight until nothing more was heard is unaccounted, and may be less: as far as it was sent, it may have been processed. */
function atMost(open: OutputLedger, over: OutputLedger): OutputLedger {
  return over.unaccounted > open.unaccounted ? { ...over, isAtMost: true } : over
}

/** The rows of the last report, with what a later notice says. */
export function lastRows({ report, notice }: Pick<LastWords, 'report' | 'notice'>): OutputLedger[] {
  const rows = new Map((report?.outputs ?? []).map((row) => [rowKey(row), row]))
  if (notice !== undefined && notice.number > (report?.notice ?? 0)) {
    for (const said of notice.rows) {
      const { stream, consumer } = said
      const nothing = { stream, consumer, sent: 0, acked: 0, dropped: {}, unaccounted: 0 }
      rows.set(rowKey(said), { ...(rows.get(rowKey(said)) ?? nothing), ...said }) // it may have begun to send since
    }
  }
  return [...rows.values()]
}

/** An account of which nothing more will be heard: what is in flight is unaccounted. */
export function closed(accounts: Accounts): Accounts {
  const outputs = accounts.outputs.map((row) => atMost(row, { ...row, unaccounted: row.sent - row.acked }))
  return { ...accounts, outputs }
}

function rowKey(row: Pick<OutputLedger, 'stream' | 'consumer'>): string {
  return `${row.stream}/${row.consumer}`
}
