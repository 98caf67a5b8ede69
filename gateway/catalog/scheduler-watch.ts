/**
 * SchedulerWatch: whether a scheduler leads, by the store's election. Functions run on without one, but nothing is placed,
 * changed or restarted, and the catalog shows what the last leader has written.
 * @module
 */
import type { Clock } from '../../infra/clock.ts'
import type { Gauge } from '../../infra/metrics.ts'
import type { Store } from '../../infra/store/index.ts'

const lookMs = 2_000
/** While none leads: the next one is seen soon. */
const lookAgainMs = 250

export interface SchedulerWatchOptions {
  readonly store: Pick<Store, 'isLed'>
  readonly clock: Clock
  /** Set to 1 while a scheduler leads, to 0 while none does; as it was while the store does not say. */
  readonly leads: Gauge
}

type Absence = 'none' | 'noStore'

export class SchedulerWatch {
  readonly #options: SchedulerWatchOptions
  #absent: { readonly what: Absence; readonly sinceMs: number } | undefined
  #cancel: () => void = () => undefined
  #closed = false

  constructor(options: SchedulerWatchOptions) {
    this.#options = options
  }

  /** Looks once, and from then on again and again. */
  async start(): Promise<void> {
    const { clock, leads } = this.#options
    const what = await this.#look()
    if (this.#closed) return
    if (what === undefined) this.#absent = undefined
    else if (this.#absent?.what !== what) this.#absent = { what, sinceMs: clock.monotonicMs() }
    if (what !== 'noStore') leads.set(what === undefined ? 1 : 0) // only this gateway may be cut off from the store
    this.#cancel = clock.after(what === undefined ? lookMs : lookAgainMs, () => void this.start())
  }

  /**
   * What whoever reads the catalog has to know besides: `noScheduler`, why nothing is placed or restarted; `noStore`, that
   * this gateway is not told, which says nothing of the scheduler. Neither while a scheduler is seen to lead.
   */
  get remark(): { readonly noScheduler?: string; readonly noStore?: string } {
    if (this.#absent === undefined) return {}
    const { what, sinceMs } = this.#absent
    const seconds = Math.floor((this.#options.clock.monotonicMs() - sinceMs) / 1000)
    if (what === 'none')
      return { noScheduler: `no scheduler has led for ${seconds} s: nothing is placed, changed or restarted` }
    return {
      noStore: `the store has not answered this gateway for ${seconds} s: what is shown may be out of date, and if it answers nobody, nothing is placed or restarted`,
    }
  }

  close(): void {
    this.#closed = true
    this.#cancel()
  }

  async #look(): Promise<Absence | undefined> {
    try {
      return (await this.#options.store.isLed('scheduler')) ? undefined : 'none'
    } catch {
      return 'noStore'
    }
  }
}
