/**
 * Writer: writes the scheduler's own documents. It knows the version of each, so that an update by another process,
 * such as a scheduler that has not noticed that it lost the leadership, is detected and ends one of the two.
 *
 *   W1. A document is written only over a version that this writer has itself read or written.
 * @module
 */
import type { Store } from '../infra/store/index.ts'
import { CodedError, isCode } from '../sdk/errors.ts'
import type { SchedulerErrorCode } from './errors.ts'

export class Writer {
  readonly #store: Store
  readonly #versions = new Map<string, number>()

  constructor(store: Store) {
    this.#store = store
  }

  /** Reads an earlier leader's document and raises its version: from now on that leader's updates fail. */
  async take<T>(path: string): Promise<T | undefined> {
    for (;;) {
      const found = await this.#store.get<T>(path)
      if (found === undefined) return undefined
      try {
        this.#versions.set(path, await this.#store.update(path, found.value, found.version))
        return found.value
      } catch (error) {
        if (!isCode(error, 'ERR_STORE_CONFLICT', 'ERR_STORE_NOT_FOUND')) throw error
      }
    }
  }

  /** Takes over everything under a path that was not taken over yet. */
  async takeRest(parent: string): Promise<void> {
    for (const name of await this.#store.list(parent)) {
      const path = `${parent}/${name}`
      if (!this.#versions.has(path)) await this.take(path)
      await this.takeRest(path)
    }
  }

  /** @throws {CodedError} ERR_LEADERSHIP_LOST if another process has written there. */
  async put(path: string, value: unknown): Promise<void> {
    const version = this.#versions.get(path)
    try {
      const written =
        version === undefined
          ? await this.#store.create(path, value)
          : await this.#store.update(path, value, version)
      this.#versions.set(path, written)
    } catch (error) {
      throw this.#raced(error, path)
    }
  }

  /** Removes a document, if it still exists. */
  async remove(path: string): Promise<void> {
    const version = this.#versions.get(path)
    this.#versions.delete(path)
    try {
      await this.#store.remove(path, version)
    } catch (error) {
      if (!isCode(error, 'ERR_STORE_NOT_FOUND')) throw this.#raced(error, path)
    }
  }

  #raced(error: unknown, path: string): unknown {
    if (!isCode(error, 'ERR_STORE_CONFLICT', 'ERR_STORE_EXISTS', 'ERR_STORE_NOT_FOUND')) return error
    const message = `Cannot write ${path}: another scheduler has written there, so it leads now`
    return new CodedError<SchedulerErrorCode>('ERR_LEADERSHIP_LOST', message, { cause: error })
  }
}
