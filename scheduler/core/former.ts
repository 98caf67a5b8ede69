/**
 * Former: what removed functions had sent, kept with their readers, so that a loss stays in the ledger after the
 * function is gone.
 *
 *   FM1. A function is removed only when the accounts of its killed instances are closed: their receivers are being
 *        asked (gone.ts). This takes `closingMs` at most.
 *   FM2. The rows are written into the reader's status before the sender's status is removed, and name the sender. A
 *        row found in both counts once, in the store and for a leader that takes over.
 *   FM3. What was sent to a removed function leaves the accounts of its senders before its own documents are removed. So
 *        a new function of the same name begins with nothing. What is heard later, or was stored by an older build, is
 *        left out when an account is closed or taken over (toExisting).
 * Design: docs/design/0003-processes-and-store.md, "What removed functions have sent"
 * @module
 */
import { addTotals, functionOfConsumer } from '../../infra/control/index.ts'
import type { OutputLedger } from '../../infra/control/messages/accounts.ts'
import type { FormerAccounts, StatusDocument } from '../../infra/store/index.ts'
import { addAccounts, lastRows } from './accounts.ts'
import { whoIsGone } from './gone.ts'
import type { Draft } from './state/draft.ts'
import { type FunctionState, noAccounts, type Wanted } from './state/state.ts'
import { timings } from './state/timings.ts'
import { saveStatus } from './status.ts'

/** Whether the removal of a function has to wait for accounts of its killed instances (FM1). */
export function isAwaited(fn: Readonly<FunctionState>, nowMs: number): boolean {
  return whoIsGone(fn).length > 0 && fn.closing.some((last) => nowMs < last.endedAtMs + timings.closingMs)
}

/** Adds the accounts of a function that is being removed to the status of its readers (FM2). */
export function bequeath(draft: Draft, fn: FunctionState): void {
  const ground = { topology: draft.state.topology, isOver: true }
  const { outputs } = fn.closing.reduce((sum, last) => addAccounts(sum, last, ground), fn.ended)
  Object.assign(fn, { closing: [], ended: noAccounts, former: undefined })
  const { functions } = draft.state.wanted
  for (const [name, rows] of Map.groupBy(outputs, ({ consumer }) => functionOfConsumer(consumer))) {
    const isKept = functions.has(name) && functions.get(name)?.document.deleted !== true
    if (!isKept || !draft.functions.has(name)) continue
    const reader = draft.fn(name)
    const of = { ...stillThere(reader.former, functions), ...nameOf(draft, fn) }
    reader.former = { rows: withRows(reader.former, name, rows), of }
    saveStatus(draft, reader, true)
  }
}

/** Takes a function that is being removed out of the accounts of those that have sent to it (FM3). */
export function disown(draft: Draft, reader: string): void {
  const isKept = ({ consumer }: Pick<OutputLedger, 'consumer'>): boolean =>
    functionOfConsumer(consumer) !== reader
  for (const [name, { ended, closing }] of draft.functions) {
    const rows = [...ended.outputs, ...closing.flatMap((last) => lastRows(last))]
    if (name === reader || rows.every(isKept)) continue
    const fn = draft.fn(name)
    fn.ended = { ...ended, outputs: ended.outputs.filter(isKept) }
    for (const last of fn.closing) {
      const { report, notice } = last
      last.report = report && { ...report, outputs: report.outputs?.filter(isKept) }
      last.notice = notice && { ...notice, rows: notice.rows.filter(isKept) }
    }
    saveStatus(draft, fn, true)
  }
}

/** A function's accounts as a new leader reads them, without the rows that its readers already have (FM2). */
export function withoutBequeathed(
  { function: name, ended }: StatusDocument,
  statuses: readonly StatusDocument[],
  { functions }: Wanted,
): StatusDocument['ended'] {
  const createdAtMs = functions.get(name)?.document.createdAtMs
  const has = new Set(
    statuses.filter(({ former }) => former?.of[name] === createdAtMs).map((s) => s.function),
  )
  if (createdAtMs === undefined || has.size === 0) return ended
  return { ...ended, outputs: ended.outputs.filter(({ consumer }) => !has.has(functionOfConsumer(consumer))) }
}

/** Adds rows, one for each stream, whichever instance of the consumer read it. */
function withRows(
  before: FormerAccounts | undefined,
  consumer: string,
  rows: readonly OutputLedger[],
): OutputLedger[] {
  const sums = new Map((before?.rows ?? []).map((row) => [row.stream, row]))
  for (const row of rows) {
    const { stream } = row
    const sum = sums.get(stream) ?? { stream, consumer, sent: 0, acked: 0, dropped: {}, unaccounted: 0 }
    sums.set(stream, addTotals(sum, row))
  }
  return [...sums.values()]
}

/** Drops the names of functions that no longer exist: their rows cannot be counted twice. */
function stillThere(
  former: FormerAccounts | undefined,
  functions: Wanted['functions'],
): FormerAccounts['of'] {
  const isThere = ([name, createdAtMs]: [string, number]): boolean =>
    functions.get(name)?.document.createdAtMs === createdAtMs
  return Object.fromEntries(Object.entries(former?.of ?? {}).filter(isThere))
}

function nameOf({ state }: Draft, { name }: FunctionState): FormerAccounts['of'] {
  const document = state.wanted.functions.get(name)?.document
  return document === undefined ? {} : { [name]: document.createdAtMs }
}
