/**
 * Watchers: calls watchers after changes. Calls are merged: many changes within a turn of the event loop cause one.
 *
 * Invariants:
 *   W1. A watcher is called after every change that it covers, but never from inside it.
 *   W2. A stopped watcher is not called again.
 * @module
 */
import { covers } from './path.ts'

interface Watcher {
  readonly prefix: string
  readonly changed: () => void
  dirty: boolean
}

export class Watchers {
  readonly #watchers = new Set<Watcher>()
  #scheduled = false

  get size(): number {
    return this.#watchers.size
  }

  /** Adds a watcher. @param soon Call it soon, not only at the next change. @returns A function that stops it. */
  add(prefix: string, changed: () => void, soon = true): () => void {
    const watcher: Watcher = { prefix, changed, dirty: soon }
    this.#watchers.add(watcher)
    if (soon) this.#schedule()
    return () => this.#watchers.delete(watcher)
  }

  /** Reports a change at `path`; undefined: anywhere. */
  touch(path: string | undefined): void {
    for (const watcher of this.#watchers) {
      if (path === undefined || covers(watcher.prefix, path)) watcher.dirty = true
    }
    this.#schedule()
  }

  clear(): void {
    this.#watchers.clear()
  }

  #schedule(): void {
    if (this.#scheduled) return
    this.#scheduled = true
    setImmediate(() => {
      this.#scheduled = false
      for (const watcher of [...this.#watchers]) {
        if (!watcher.dirty || !this.#watchers.has(watcher)) continue
        watcher.dirty = false
        watcher.changed()
      }
    })
  }
}
