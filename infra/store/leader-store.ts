/**
 * LeaderStore: the store of a leader: nothing is read or written after the leadership is lost (DO4).
 * @module
 */
import { checkPath, checkPrefix } from './path.ts'
import type { Store } from './store.ts'

type Documents = Pick<Store, 'get' | 'create' | 'update' | 'remove' | 'list'>

/** @param documents The leader's reads and writes; everything else is the store's. */
export function leaderStore(store: Store, documents: Documents, lost: AbortSignal): Store {
  const check = (path: string): void => {
    lost.throwIfAborted()
    checkPath(path)
  }
  return {
    async get<T>(path: string) {
      check(path)
      return documents.get<T>(path)
    },
    async create(path, value) {
      check(path)
      return documents.create(path, value)
    },
    async update(path, value, version) {
      check(path)
      return documents.update(path, value, version)
    },
    async remove(path, version) {
      check(path)
      return documents.remove(path, version)
    },
    async list(path) {
      lost.throwIfAborted()
      checkPrefix(path)
      return documents.list(path)
    },
    watch: (path, changed) => store.watch(path, changed),
    lead: (name, signal) => store.lead(name, signal),
    isLed: (name) => store.isLed(name),
    close: () => store.close(),
  }
}
