/**
 * Accounts: what ledgers are made of: what all producers have told of the records that they sent, and what owners lack of them.
 * @module
 */
import type { OutputLedger } from '../../infra/control/messages/accounts.ts'
import type { CatalogView, LiveFunction } from './catalog.ts'
import type { Heartbeats } from './heartbeats.ts'
import { outputsOfClients, outputsOfFunctions } from './ledger.ts'
import type { Sent, SentTo } from './sent-before.ts'
import type { StateLost } from './state-lost.ts'

export interface Accounts {
  /** What gateways had sent to the function. */
  readonly sent: Sent
  /** The rows of all producers. */
  readonly outputs: readonly OutputLedger[]
  /** By input: how many records the function's state lacks. */
  readonly stateLost: ReadonlyMap<string, number>
}

/**
 * Of a function, or of readers that are none: what is still heard.
 * @param ofFunctions What functions have sent, from a caller that asks about many.
 */
export type AccountsOf = (live?: LiveFunction, ofFunctions?: readonly OutputLedger[]) => Promise<Accounts>

const noneSent: Sent = { rows: [], over: new Set(), open: [] }

export interface AccountsOptions {
  readonly view: () => CatalogView
  readonly heartbeats: Heartbeats
  readonly stateLost: Pick<StateLost, 'of'>
  readonly sentTo: SentTo
  readonly gatewayId: string
  /** The rows of this gateway. */
  readonly ownRows: () => readonly OutputLedger[]
}

export function accountsBy(options: AccountsOptions): AccountsOf {
  const { view, heartbeats, stateLost, sentTo, gatewayId, ownRows } = options
  return async (live, ofFunctions) => {
    const clients = heartbeats.ofClients()
    const speaks = (id: string): boolean => id === gatewayId || clients.some((beat) => beat.id === id)
    const sent = live === undefined ? noneSent : await sentTo(live, speaks)
    const ofClients = outputsOfClients(clients, { id: gatewayId, rows: ownRows() }, sent)
    return {
      sent,
      outputs: [...ofClients, ...(ofFunctions ?? outputsOfFunctions(view(), heartbeats))],
      stateLost: live === undefined ? new Map() : stateLost.of(live),
    }
  }
}
