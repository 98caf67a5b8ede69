/**
 * SentAccount: stores what this gateway has sent to functions, so that ledgers outlive it.
 *
 *   SA1. The store knows this gateway before it accepts the first record, so that its receivers are asked about it
 *        after a kill.
 *   SA2. What no receiver could tell is written each second while it changes, the rest every `writeEveryMs`, and at
 *        the end everything, exactly. What the store did not accept is written the next time; at the end that is tried until
 *        the caller's deadline, since nobody else knows it.
 *   SA3. Writes are serial, and none follows the last one.
 *   SA4. After it was given up for so long that its rows were folded into the sums, it writes nothing more.
 * Design: docs/design/0003-processes-and-store.md, "What gateways have sent"
 * @module
 */
import { type Clock, sleep } from '../../infra/clock.ts'
import { functionOfConsumer, settle } from '../../infra/control/index.ts'
import type { OutputLedger } from '../../infra/control/messages/accounts.ts'
import type { Log } from '../../infra/log.ts'
import {
  paths,
  type SenderDocument,
  type SentDocument,
  type SentRow,
  type Store,
  upsert,
} from '../../infra/store/index.ts'
import { isCode } from '../../sdk/errors.ts'
import type { CatalogView } from '../catalog/catalog.ts'

const lookEveryMs = 1_000
const writeEveryMs = 5_000

export interface SentAccountOptions {
  readonly store: Store
  readonly namespace: string
  readonly gatewayId: string
  readonly clock: Clock
  readonly log: Log
  readonly outputs: () => readonly OutputLedger[]
  readonly view: () => CatalogView
  /** SA4: nothing more that this gateway sends is accounted for. */
  readonly onForgotten: () => void
}

/** Rows as text, for comparison. */
interface Texts {
  readonly all: string
  /** The part that receivers do not know. */
  readonly own: string
}

export class SentAccount {
  readonly #options: SentAccountOptions
  /** By stream: what the store has. */
  readonly #written = new Map<string, Texts & { readonly atMs: number }>()
  #writing: Promise<void> = Promise.resolve()
  #cancel: () => void = () => undefined
  #isClosed = false

  private constructor(options: SentAccountOptions) {
    this.#options = options
    this.#later()
  }

  /** Registers this gateway in the store (SA1). @throws Errors of the store. */
  static async open(options: SentAccountOptions): Promise<SentAccount> {
    const { store, namespace, gatewayId, clock } = options
    const document: SenderDocument = { schema: 1, state: 'open', atMs: clock.nowMs() }
    await store.create(paths.sender(namespace, gatewayId), document)
    return new SentAccount(options)
  }

  /**
   * Writes the final account.
   * @param signal Ends the wait for a store that does not take it.
   * @returns False: the store does not have it, and what was lost since the last write is in no ledger.
   */
  async close(signal: AbortSignal): Promise<boolean> {
    this.#stop()
    const late = new Promise<false>((resolve) =>
      signal.addEventListener('abort', () => resolve(false), { once: true }),
    )
    const isWritten = await Promise.race([this.#writeLast(signal), late])
    if (!isWritten) {
      const rows = Object.fromEntries(this.#rows(true))
      this.#options.log.error({ rows }, 'the store has not taken the final account of what was sent')
    }
    return isWritten
  }

  async #writeLast(signal: AbortSignal): Promise<boolean> {
    await this.#writing
    for (let isFirst = true; !signal.aborted; isFirst = false) {
      try {
        await this.#write('over')
        return true
      } catch (error) {
        if (isFirst) this.#failed(error)
        if (isCode(error, 'ERR_STORE_CLOSED')) return false
        await sleep(this.#options.clock, lookEveryMs)
      }
    }
    return false
  }

  #later(): void {
    this.#cancel = this.#options.clock.after(lookEveryMs, () => {
      this.#writing = this.#write('open')
        .catch((error: unknown) => this.#failed(error)) // SA2
        .then(() => {
          if (!this.#isClosed) this.#later()
        })
    })
  }

  #stop(): void {
    this.#isClosed = true
    this.#cancel()
  }

  #failed(error: unknown): void {
    this.#options.log.warn({ err: error }, 'cannot write down what was sent')
  }

  async #write(state: SenderDocument['state']): Promise<void> {
    const { store, namespace, gatewayId, clock } = this.#options
    const rows = [...this.#rows(state === 'over')].map(([stream, of]) => ({ stream, of, ...textsOf(of) }))
    const due = state === 'over' ? rows : rows.filter((one) => this.#isDue(one))
    if (due.length === 0 && state === 'open') return
    const path = paths.sender(namespace, gatewayId)
    const found = await store.get<SenderDocument>(path)
    if (found === undefined || found.value.state === 'folded') return this.#forget()
    for (const { stream, of } of due)
      await upsert<SentDocument>(store, paths.sent(namespace, gatewayId, stream), () => ({
        schema: 1,
        rows: of,
      }))
    if (found.value.state !== state)
      await store.update(path, { schema: 1, state, atMs: clock.nowMs() }, found.version)
    for (const { stream, all, own } of due) this.#written.set(stream, { all, own, atMs: clock.monotonicMs() })
  }

  #forget(): void {
    if (this.#isClosed) return
    this.#stop()
    this.#options.onForgotten()
  }

  /** Whether a stream's rows have to be written now (SA2). */
  #isDue({ stream, all, own }: Texts & { readonly stream: string }): boolean {
    const written = this.#written.get(stream)
    if (written === undefined || written.own !== own) return true
    return written.all !== all && this.#options.clock.monotonicMs() >= written.atMs + writeEveryMs
  }

  /** The rows to existing functions, by stream. */
  #rows(isOver: boolean): Map<string, SentRow[]> {
    const { functions } = this.#options.view()
    const rows = new Map<string, SentRow[]>()
    // A lag is of this moment, and changes while nothing else does.
    for (const { lagMs: _, ...row } of this.#options.outputs()) {
      const live = functions.get(functionOfConsumer(row.consumer))
      if (live === undefined || row.sent === 0) continue
      const account = isOver ? settle(row, undefined, { topology: new Map(), isOver }) : row
      const of = { ...account, createdAtMs: live.document.createdAtMs }
      rows.set(row.stream, [...(rows.get(row.stream) ?? []), of])
    }
    return rows
  }
}

function textsOf(rows: readonly SentRow[]): Texts {
  const own = rows.map((row) => [row.consumer, row.parts, row.unaccounted, row.own, row.earlier])
  return { all: JSON.stringify(rows), own: JSON.stringify(own) }
}
