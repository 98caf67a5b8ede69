/**
 * CheckpointSweeper: deletes the checkpoints of removed functions. Runners write and read checkpoints (infra/checkpoints);
 * ownership.ts creates their stream.
 * @module
 */
import type { NatsConnection } from '../../infra/bus/index.ts'
import { functionsWithCheckpoints, removeCheckpoints } from '../../infra/checkpoints/index.ts'
import type { Log } from '../../infra/log.ts'

export interface CheckpointSweeperOptions {
  readonly nc: NatsConnection
  readonly namespace: string
  readonly log: Log
  /** The existing functions, including those being deleted. */
  readonly functions: () => ReadonlySet<string>
}

export class CheckpointSweeper {
  readonly #options: CheckpointSweeperOptions
  #known: ReadonlySet<string> | undefined
  #sweeping: Promise<void> | undefined

  constructor(options: CheckpointSweeperOptions) {
    this.#options = options
  }

  /** Called when the functions may have changed. */
  adopt(): void {
    const functions = this.#options.functions()
    const isGone = this.#known === undefined || [...this.#known].some((name) => !functions.has(name))
    this.#known = functions
    if (!isGone) return
    this.#sweeping = (this.#sweeping ?? Promise.resolve()).then(() => this.#sweep())
  }

  async #sweep(): Promise<void> {
    const { nc, namespace, log, functions } = this.#options
    try {
      for (const name of await functionsWithCheckpoints(nc, namespace)) {
        if (functions().has(name)) continue
        await removeCheckpoints(nc, namespace, name)
        log.info({ function: name }, 'the checkpoints of a removed function are deleted')
      }
    } catch (error) {
      log.warn({ err: error }, 'cannot delete the checkpoints of removed functions')
      this.#known = undefined // retried the next time
    }
  }
}
