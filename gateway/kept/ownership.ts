/**
 * Ownership: whether the data of this namespace in JetStream belongs to this gateway's store. Until that is known,
 * none of it is deleted.
 *
 *   OS1. Data of another store is left alone, and reported.
 * Design: docs/design/0003-processes-and-store.md
 * @module
 */
import type { NatsConnection } from '../../infra/bus/index.ts'
import { claimState, ensureCheckpointStream, namespacesOfOthers } from '../../infra/checkpoints/index.ts'
import { marksOf, noteMarked, type Store, storeIdOf } from '../../infra/store/index.ts'
import type { Replicas } from '../../infra/streams.ts'
import { isCode } from '../../sdk/errors.ts'

export interface OwnershipOptions {
  readonly nc: NatsConnection
  readonly store: Store
  readonly namespace: string
  /** The id of a lost store that this one replaces. */
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
   * Creates the stream of checkpoints, marked with the store's id.
   * @returns As ensureStream. @throws {CodedError} ERR_OTHER_STORE, ERR_CHECKPOINT_STORE
   */
  async claim(timeoutMs?: number): Promise<boolean> {
    const { nc, store, namespace, replaces, replicas } = this.#options
    const isMade = await ensureCheckpointStream(nc, replicas, timeoutMs)
    const claimant = { id: await storeIdOf(store), replaces, ...(await marksOf(store, namespace)) }
    await claimState(nc, namespace, claimant, timeoutMs)
    await noteMarked(store, namespace, replaces)
    this.#isOurs = true
    return isMade
  }

  /**
   * The same for a process that starts: it does not wait for a JetStream that is away.
   * @throws {CodedError} ERR_OTHER_STORE
   */
  async claimSoon(timeoutMs: number): Promise<void> {
    await this.claim(timeoutMs).catch((error: unknown) => {
      if (isCode(error, 'ERR_OTHER_STORE')) throw error
    })
  }

  /** Whether no other store uses this NATS: bundles are shared by all namespaces. */
  async isAlone(): Promise<boolean> {
    const { nc, store } = this.#options
    return this.#isOurs && (await namespacesOfOthers(nc, await storeIdOf(store))).length === 0
  }
}
