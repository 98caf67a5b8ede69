/**
 * Contest: the part of one of several masters on a state folder in the election of their leader, in ZooKeeper.
 *
 *     standing by (it points to the leader) → leading → lost, and it ends
 *
 *   L1. It leads only while it holds the lock of the state folder. An elected master waits until the former leader, ended or killed,
 *       no longer holds it.
 * Design: docs/design/0028-master-detection-and-archive.md
 * @module
 */
import type { Logger } from 'pino'
import { isCode } from '../../sdk/errors.ts'
import type { Clock } from '../clock.ts'
import { joinMasters, type MastersUrl, type Membership } from '../masters/index.ts'
import type { masterInfo } from './master/index.ts'
import type { Place } from './place.ts'

const takeUpRetryMs = 50

export interface ContestOptions {
  readonly at: MastersUrl
  readonly info: ReturnType<typeof masterInfo>
  readonly place: Place
  readonly clock: Clock
  readonly log: Logger
  /** Called when it no longer leads. */
  readonly lost: (why: Error) => void
}

export class Contest {
  readonly #options: ContestOptions
  readonly #membership: Membership
  readonly #decided = Promise.withResolvers<void>()
  #leader: string | undefined
  #cancelRetry: () => void = () => {}

  constructor(options: ContestOptions) {
    this.#options = options
    const { at, info, log } = options
    this.#membership = joinMasters({
      ...{ at, info, log: { info() {}, warn: (text) => log.warn(text) } },
      leads: () => this.#lead(),
      follows: (url) => this.#follow(url),
      lost: (why) => this.#lost(why),
    })
    this.#decided.promise.catch(() => {})
  }

  /** `http://host:port` of another master that leads. */
  get leader(): string | undefined {
    return this.#leader
  }

  /** Resolves when it leads, or knows who does. */
  get decided(): Promise<void> {
    return this.#decided.promise
  }

  async leave(): Promise<void> {
    this.#cancelRetry()
    await this.#membership.leave()
  }

  /** L1 */
  #lead(): void {
    this.#leader = undefined
    const { place, clock, log } = this.#options
    try {
      place.lead()
      log.info('leads')
      this.#decided.resolve()
    } catch (error) {
      if (!isCode(error, 'ERR_STATE_IN_USE')) return this.#lost(error as Error)
      this.#cancelRetry = clock.after(takeUpRetryMs, () => this.#lead())
    }
  }

  #follow(url: string): void {
    this.#leader = url
    this.#options.log.info({ leader: url }, 'stands by')
    this.#decided.resolve()
  }

  #lost(why: Error): void {
    this.#cancelRetry()
    this.#options.log.error({ reason: why.message }, 'leads no more')
    this.#decided.reject(why)
    this.#options.lost(why)
  }
}
