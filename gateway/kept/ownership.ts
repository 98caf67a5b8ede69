/**
 * Ownership: whether what JetStream keeps of this namespace is of the store that this gateway has. Until that is known nothing of
 * it is deleted.
 *
 *   OS1. What is another store's is left as it is, and said to be so.
 * Design: docs/design/0003-processes-and-store.md
 * @module
 */
import type { NatsConnection } from '../../infra/bus/index.ts'
import { claimState, ensureCheckpointStream, namespacesOfOthers } from '../../infra/checkpoints/index.ts'
import { type Store, storeIdOf } from '../../infra/store/index.ts'
import type { Replicas } from '../../infra/streams.ts'
import { isCode } from '../../sdk/errors.ts'

export interface OwnershipOptions {
  readonly nc: NatsConnection
  readonly store: Store
  readonly namespace: string
  /** The id of a store that is gone, and whose place this one takes. */
  readonly replaces?: string | undefined
  readonly replicas: Replicas
}

export class Ownership {
  readonly #options: OwnershipOptions
  #isOurs = false

  constructor(options: OwnershipOptions) {
    this.#options = options
  }

  get isOurs(): boolean {
    return this.#isOurs
  }

  /**
   * Makes the stream of checkpoints, and says whose they are.
   * @returns As ensureStream. @throws {CodedError} ERR_OTHER_STORE, ERR_CHECKPOINT_STORE
   */
  async claim(timeoutMs?: number): Promise<boolean> {
    const { nc, store, namespace, replaces, replicas } = this.#options
    const isMade = await ensureCheckpointStream(nc, replicas, timeoutMs)
    await claimState(nc, namespace, { id: await storeIdOf(store), replaces }, timeoutMs)
    this.#isOurs = true
    return isMade
  }

  /** The same at the start of a process, which does not wait for a JetStream that is away. @throws {CodedError} ERR_OTHER_STORE */
  async claimSoon(timeoutMs: number): Promise<void> {
    await this.claim(timeoutMs).catch((error: unknown) => {
      if (isCode(error, 'ERR_OTHER_STORE')) throw error
    })
  }

  /** True if no other store has anything on this NATS: bundles are of all namespaces together. */
  async isAlone(): Promise<boolean> {
    const { nc, store } = this.#options
    return this.#isOurs && (await namespacesOfOthers(nc, await storeIdOf(store))).length === 0
  }
}
