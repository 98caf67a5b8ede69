/**
 * Former: what functions that are removed have sent, kept with those that read it, so that the account of a loss outlives who knew it.
 *
 *   FM1. The account of an instance that was killed is waited for, `closingMs` at most: its receivers are being asked (gone.ts).
 *   FM2. The rows are written with the status of their reader before the status that has them goes, and name whose they were:
 *        what is in both counts once, in the store and for a leader that takes over.
 * Design: docs/design/0003-processes-and-store.md, "What removed functions have sent"
 * @module
 */
import { addTotals, functionOfConsumer } from '../../infra/control/index.ts'
import type { OutputLedger } from '../../infra/control/messages.ts'
import type { FormerAccounts, StatusDocument } from '../../infra/store/index.ts'
import { addAccounts } from './accounts.ts'
import { whoIsGone } from './gone.ts'
import type { Draft } from './state/draft.ts'
import { type FunctionState, noAccounts, type Wanted } from './state/state.ts'
import { timings } from './state/timings.ts'
import { saveStatus } from './status.ts'

/** FM1. */
export function isAwaited(fn: Readonly<FunctionState>, nowMs: number): boolean {
  return whoIsGone(fn).length > 0 && fn.closing.some((last) => nowMs < last.endedAtMs + timings.closingMs)
}

/** Gives the accounts of a function that is to be removed to its readers (FM2). */
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

/** What a leader begins with: less what is with its readers already (FM2). */
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

/** One row a stream, whichever instance read it. */
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

/** Of what has gone for good nothing can count twice. */
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
