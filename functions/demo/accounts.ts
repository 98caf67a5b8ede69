/**
 * Accounts: what `concord fn inspect` reports about the pipeline's functions, and what follows from it.
 *
 * There are two accounts of every input. A function's own counters are all of one moment, so they show when a run is
 * finished. The ledger of its senders survives a killed instance, so it shows what was lost.
 * @module
 */
import type { ConcordClient } from 'concord/client'
import type { Tally } from './tally.ts'

/** In the order of the pipeline; each reads what the one before it sends. */
export const functionNames = ['parse', 'score', 'alert'] as const
export type FunctionName = (typeof functionNames)[number]

export interface Account {
  /** Records that were processed, by the function's own counter. */
  readonly counted: number
  readonly out: number
  readonly errors: number
  /** The ledger of the input. */
  readonly sent: number
  readonly handled: number
  readonly inFlight: number
  readonly unaccounted: number
}
export type Accounts = Readonly<Record<FunctionName, Account>>

/** One hop of the pipeline, and how many records were lost there. */
export interface Hop {
  readonly name: string
  readonly lost: number
  /** Of the lost records: sent, and not acknowledged. */
  readonly inFlight: number
  /** Of the lost records: at an instance that was killed. */
  readonly unaccounted: number
}

export async function readAccounts(client: ConcordClient, signal: AbortSignal): Promise<Accounts> {
  const [parse, score, alert] = await Promise.all(
    functionNames.map((name) => readAccount(client, name, signal)),
  )
  // The ledger of the next function says what was sent down the pipeline: dead letters go elsewhere.
  return { parse: { ...parse!, out: score!.sent }, score: { ...score!, out: alert!.sent }, alert: alert! }
}

async function readAccount(client: ConcordClient, name: FunctionName, signal: AbortSignal): Promise<Account> {
  const { recordsIn, recordsOut, errors, ledger } = await client.inspect(name, { signal })
  const { sent, processed, dropped, inFlight, unaccounted } = ledger[0] ?? emptyLedger
  const settled = (dropped['skipped'] ?? 0) + (dropped['deadLettered'] ?? 0) // by the function's policy: not lost
  return {
    counted: recordsIn,
    out: recordsOut,
    errors,
    sent,
    handled: processed + settled,
    inFlight,
    unaccounted,
  }
}

const emptyLedger = {
  sent: 0,
  processed: 0,
  dropped: {} as Record<string, number>,
  inFlight: 0,
  unaccounted: 0,
}

/**
 * Whether everything that was accepted has arrived at the end of the pipeline, every fraud is in an alert, and the
 * ledgers say so.
 */
export function isThrough(accepted: number, { parse, score, alert }: Accounts, tally: Tally): boolean {
  return (
    parse.counted === accepted &&
    score.counted === parse.out &&
    alert.counted === score.out &&
    tally.verdicts === score.out &&
    tally.alerted === tally.frauds &&
    tally.alerts === alert.out &&
    // A sender hears later than the counter shows that a record was processed.
    [parse, score, alert].every(({ inFlight }) => inFlight === 0)
  )
}

/** The hops from the client to its verdicts. */
export function hopsOf(accepted: number, { parse, score, alert }: Accounts, tally: Tally): Hop[] {
  const unsent = Math.max(0, accepted - parse.sent)
  const unseen = Math.max(0, tally.missed, score.out - tally.verdicts)
  return [
    { name: 'gateway → lines', lost: unsent, inFlight: 0, unaccounted: 0 },
    hop('lines → parse', parse),
    hop('clicks → score', score),
    hop('verdicts → alert', alert),
    { name: 'verdicts → demo', lost: unseen, inFlight: 0, unaccounted: 0 },
  ]
}

function hop(name: string, { sent, handled, inFlight, unaccounted }: Account): Hop {
  return { name, lost: Math.max(0, sent - handled), inFlight, unaccounted }
}
