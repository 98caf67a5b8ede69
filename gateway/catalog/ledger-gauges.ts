/**
 * LedgerGauges: the ledgers and dead letters of all functions as metrics, so that lag and loss can be alarmed on.
 *
 *   LG1. They are read at most once in `everyMs`: what gateways had sent is read from the store.
 *   LG2. A scrape waits for them at most `waitMs`, then shows the last ones: it must not fail while the store is away.
 *   LG3. All of them change in one turn, so that no scrape sees half of them.
 *   LG4. A removed function is shown as long as it has dead letters: they take room of the namespace.
 *   LG5. A gateway that hears nobody shows no lag and nothing in flight: it does not know the present, and alarms take the highest of what
 *        gateways say. Sums stay: they only grow.
 * @module
 */
import type { Clock } from '../../infra/clock.ts'
import type { DeadLetterCounts, Ledger } from '../../sdk/api/index.ts'
import type { DeadLetters } from '../dead-letters/dead-letters.ts'
import type { GatewayMetrics } from '../metrics.ts'
import type { AccountsOf } from './accounts.ts'
import type { CatalogView } from './catalog.ts'
import type { Heartbeats } from './heartbeats.ts'
import { ledgerOf } from './ledger.ts'
import { tasksAtWork } from './views.ts'

const everyMs = 10_000
const waitMs = 1_000

export interface LedgerGaugesOptions {
  readonly view: () => CatalogView
  readonly heartbeats: Pick<Heartbeats, 'firstBeats' | 'deafMs'>
  readonly accountsOf: AccountsOf
  /** What it does not know now is not shown. */
  readonly deadLetters: Pick<DeadLetters, 'counts' | 'functions'>
  readonly metrics: Pick<
    GatewayMetrics,
    'inputRecords' | 'inputLag' | 'inputStateLost' | 'inputDropped' | 'deadLetters'
  >
  readonly clock: Clock
}

interface Found {
  readonly name: string
  readonly ledger: readonly Ledger[]
  readonly letters: DeadLetterCounts | undefined
}

export class LedgerGauges {
  readonly #options: LedgerGaugesOptions
  #againMs = Number.NEGATIVE_INFINITY
  #reading: Promise<void> | undefined
  #found: readonly Found[] = []
  /** Whether somebody was heard when this was read (LG5). */
  #isHeard = false

  constructor(options: LedgerGaugesOptions) {
    this.#options = options
  }

  /** Before the metrics are shown. */
  async refresh(): Promise<void> {
    await this.#readInTime()
    this.#show()
  }

  async #readInTime(): Promise<void> {
    const { clock } = this.#options
    if (this.#reading === undefined) {
      if (clock.monotonicMs() < this.#againMs) return
      this.#againMs = clock.monotonicMs() + everyMs
      this.#reading = this.#read().finally(() => {
        this.#reading = undefined
      })
    }
    const late = Promise.withResolvers<void>()
    const cancel = clock.after(waitMs, late.resolve)
    await Promise.race([this.#reading, late.promise]).finally(cancel)
  }

  async #read(): Promise<void> {
    const { view, heartbeats, accountsOf, deadLetters } = this.#options
    await heartbeats.firstBeats(tasksAtWork(view().functions.values()))
    const found: Found[] = []
    for (const live of view().functions.values()) {
      const { name } = live
      const inputs = Object.keys(live.version.manifest.istreams)
      const { outputs, stateLost } = await accountsOf(live)
      const ledger = ledgerOf(name, inputs, outputs, stateLost)
      found.push({ name, ledger, letters: await deadLetters.counts(name) })
    }
    for (const name of (await deadLetters.functions()) ?? []) {
      if (found.some((one) => one.name === name)) continue
      found.push({ name, ledger: [], letters: await deadLetters.counts(name) }) // LG4
    }
    this.#found = found
    this.#isHeard = heartbeats.deafMs === 0
  }

  #show(): void {
    const isPresent = this.#isHeard && this.#options.heartbeats.deafMs === 0 // LG5
    const { inputRecords, inputLag, inputStateLost, inputDropped, deadLetters } = this.#options.metrics
    for (const gauge of [inputRecords, inputLag, inputStateLost, inputDropped, deadLetters]) gauge.reset()
    for (const { name, ledger, letters } of this.#found) {
      for (const row of ledger) {
        const { stream, sent, processed, inFlight, lagMs, unaccounted, stateLost, dropped } = row
        const input = { function: name, stream }
        inputRecords.set({ ...input, state: 'sent' }, sent)
        inputRecords.set({ ...input, state: 'processed' }, processed)
        if (isPresent) inputRecords.set({ ...input, state: 'in_flight' }, inFlight)
        inputRecords.set({ ...input, state: 'unaccounted' }, unaccounted)
        if (isPresent && lagMs !== undefined) inputLag.set(input, lagMs / 1000)
        inputStateLost.set(input, stateLost)
        for (const [reason, records] of Object.entries(dropped))
          inputDropped.set({ ...input, reason }, records)
      }
      for (const [state, count] of Object.entries(letters ?? {}))
        deadLetters.set({ function: name, state }, count)
    }
  }
}
