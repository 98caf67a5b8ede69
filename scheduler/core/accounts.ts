/**
 * Accounts: the totals of what ended instances have sent and processed, so that the ledger (I7) outlives them.
 *
 * An instance that drained makes an exact last report. The last report of a killed instance is up to a second old, so
 * its receivers are asked how far its channels came (gone.ts). While they may still answer, records that nobody has
 * confirmed count as in flight. If a receiver has ended too, the producer's allowance there counts as unaccounted.
 * Design: docs/design/0002-channels.md, "The account of a producer that is killed"
 * @module
 */
import { addTotals, functionOfConsumer, type Ground, settle } from '../../infra/control/index.ts'
import type { OutputLedger } from '../../infra/control/messages/accounts.ts'
import { namePattern } from '../../sdk/manifest/manifest.ts'
import type { Accounts, Closing, Wanted } from './state/state.ts'

/** What is known about an instance that has ended. */
export type LastWords = Pick<Closing, 'report' | 'notice' | 'received'>

const nobodyKnows: Ground = { topology: new Map(), isOver: true }

/**
 * Adds the account of an ended instance. Records in its spill files are left out: the instance that adopts the files
 * counts them as sent.
 */
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

/**
 * Marks a loss as an upper bound if it includes records that were in flight at the last answer: some of them may have
 * been processed.
 */
function atMost(open: OutputLedger, over: OutputLedger): OutputLedger {
  return over.unaccounted > open.unaccounted ? { ...over, isAtMost: true } : over
}

/** The rows of the last report, updated by an allowance notice that came after it. */
export function lastRows({ report, notice }: Pick<LastWords, 'report' | 'notice'>): OutputLedger[] {
  const rows = new Map((report?.outputs ?? []).map((row) => [rowKey(row), row]))
  if (notice !== undefined && notice.number > (report?.notice ?? 0)) {
    for (const said of notice.rows) {
      const { stream, consumer } = said
      const nothing = { stream, consumer, sent: 0, acked: 0, dropped: {}, unaccounted: 0 }
      // the report may be older than the first record
      rows.set(rowKey(said), { ...(rows.get(rowKey(said)) ?? nothing), ...said })
    }
  }
  return [...rows.values()]
}

/**
 * Accounts without what was sent to functions that do not exist, however late it is heard: a new function of such a
 * name begins with nothing (FM3 of former.ts).
 */
export function toExisting(accounts: Accounts, { functions }: Wanted): Accounts {
  const isKept = ({ consumer }: OutputLedger): boolean => {
    const name = functionOfConsumer(consumer)
    return functions.has(name) || !namePattern.test(name) // other consumers are no functions: `$server`, followers
  }
  return { ...accounts, outputs: accounts.outputs.filter(isKept) }
}

/** Closes accounts of which nothing more will be heard: records in flight become unaccounted. */
export function closed(accounts: Accounts): Accounts {
  const outputs = accounts.outputs.map((row) => atMost(row, { ...row, unaccounted: row.sent - row.acked }))
  return { ...accounts, outputs }
}

function rowKey(row: Pick<OutputLedger, 'stream' | 'consumer'>): string {
  return `${row.stream}/${row.consumer}`
}
