/**
 * InAccounts: a consumer's account of each of its streams, in records (I7).
 * @module
 */
import type { InputLedger } from '../../control/messages/accounts.ts'

export type InAccount = {
  -readonly [K in keyof InputLedger]: InputLedger[K] extends number ? number : InputLedger[K]
} & {
  dropped: Record<string, number>
  refused: Record<string, number>
}

export class InAccounts {
  readonly #accounts = new Map<string, InAccount>()

  of(stream: string): InAccount {
    let account = this.#accounts.get(stream)
    if (account === undefined) {
      account = {
        stream,
        received: 0,
        processed: 0,
        dropped: {},
        repeats: 0,
        gaps: 0,
        stateLost: 0,
        refused: {},
      }
      this.#accounts.set(stream, account)
    }
    return account
  }

  /** One row per stream. */
  ledger(): InputLedger[] {
    return [...this.#accounts.values()].map((account) => ({
      ...account,
      dropped: { ...account.dropped },
      refused: { ...account.refused },
    }))
  }
}

/** Counts a refused frame. */
export function refuse(account: InAccount, reason: string): void {
  account.refused[reason] = (account.refused[reason] ?? 0) + 1
}
