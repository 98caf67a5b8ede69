/**
 * Accounts: what `concord fn inspect` says of the pipeline's functions, and what follows from it.
 *
 * Two books are kept of every input. The function's own counters are all of one moment, so they tell when a run is
 * through; the ledger of those who send to it outlives a killed instance, so it tells what was lost.
 * @module
 */
import type { ConcordClient } from 'concord/client'
import type { Tally } from './tally.ts'

/** In the order of the pipeline; each reads what the one before it sends. */
export const functionNames = ['parse', 'score', 'alert'] as const
export type FunctionName = (typeof functionNames)[number]

export interface Account {
  /** Records that went in, by the function's own counter. */
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

/** One step of the way, and how many records did not make it. */
export interface Hop {
  readonly name: string
  readonly lost: number
  /** Of the lost: sent and not yet answered for. */
  readonly inFlight: number
  /** Of the lost: in the hands of an instance that was killed. */
  readonly unaccounted: number
}

export async function readAccounts(client: ConcordClient, signal: AbortSignal): Promise<Accounts> {
  const [parse, score, alert] = await Promise.all(
    functionNames.map((name) => readAccount(client, name, signal)),
  )
  // What went down the pipeline is what the next one's ledger says was sent to it: dead letters go elsewhere.
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

/** Whether all that was accepted has come out at the end of the pipeline, every fraud is in an alert, and it is booked. */
export function isThrough(accepted: number, { parse, score, alert }: Accounts, tally: Tally): boolean {
  return (
    parse.counted === accepted &&
    score.counted === parse.out &&
    alert.counted === score.out &&
    tally.verdicts === score.out &&
    tally.alerted === tally.frauds &&
    tally.alerts === alert.out &&
    // Who sends hears a while after the one who counts that it was handled.
    [parse, score, alert].every(({ inFlight }) => inFlight === 0)
  )
}

/** The way from the client to the verdicts it gets back, hop by hop. */
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
