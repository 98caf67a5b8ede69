/**
 * Earlier: what an earlier function of the same name has left, which a deploy must not pass on to the new one.
 *
 *   EA1. State is forgotten before the new function may run, or the deploy fails; the rest as far as possible now.
 * @module
 */
import type { NatsConnection } from '../../infra/bus/index.ts'
import { removeCheckpoints } from '../../infra/checkpoints/index.ts'
import type { DifferenceStore } from '../../infra/differences/index.ts'
import type { Log } from '../../infra/log.ts'
import { forgetLogs } from '../follow/logs.ts'
import type { Ownership } from '../kept/ownership.ts'

export interface EarlierOptions {
  readonly nc: NatsConnection
  /** A connection without records. */
  readonly checkpointConnection: NatsConnection
  readonly namespace: string
  readonly ownership: Ownership
  readonly differences: DifferenceStore
  readonly log: Log
}

export class Earlier {
  readonly #options: EarlierOptions

  constructor(options: EarlierOptions) {
    this.#options = options
  }

  /** @throws {CodedError} ERR_OTHER_STORE, ERR_CHECKPOINT_STORE */
  async forgetState(name: string): Promise<void> {
    const { checkpointConnection, namespace, ownership, differences } = this.#options
    if (!ownership.isOurs) await ownership.claim()
    await Promise.all([
      removeCheckpoints(checkpointConnection, namespace, name),
      differences.forget(name).catch(this.#warn(`cannot forget what shadows of '${name}' have found`)),
    ])
  }

  async forgetLines(name: string): Promise<void> {
    const { nc, namespace } = this.#options
    const why = `the log of '${name}' may show lines of an earlier function of that name`
    await forgetLogs(nc, namespace, name).catch(this.#warn(why))
  }

  #warn(message: string): (error: unknown) => void {
    return (error) => this.#options.log.warn({ err: error }, message)
  }
}
