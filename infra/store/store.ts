/**
 * Store: the small, strongly consistent tree of documents that says what is wanted and what is. SQLite on one
 * machine, ZooKeeper in a cluster; one interface, one set of contract tests.
 *
 * A node is a path and a small JSON document with a version that grows by one with each update.
 *
 * Invariants:
 *   DO1. `update` and `remove` with a version succeed only if the node still has that version: compare-and-set.
 *   DO2. After a change by any process, every watcher whose prefix covers the path is called at least once, and then
 *        reads the change or a later one. Calls may be merged: a watcher reads again, it does not replay.
 *   DO3. One process at a time holds the leadership of a name; each holder has a higher epoch than all before.
 *   DO4. Writes through `leadership.store` take effect only while it leads: not once a successor has updated the
 *        document (DO1); and nobody sees what an earlier leader creates after `seal`.
 * @module
 */

export interface StoredDocument<T = unknown> {
  readonly value: T
  readonly version: number
}

export interface Leadership {
  /** Higher than that of every holder before. */
  readonly epoch: number
  /** Aborted when the leadership is lost: stop at once. */
  readonly lost: AbortSignal
  /** The store for the leader's writes (DO4). Its calls wait for the store as long as the leadership lasts. */
  readonly store: Store
  /**
   * Call this once everything that earlier leaders have written was read and updated. What an earlier leader, that
   * was asleep, writes from then on is ignored.
   */
  seal(): Promise<void>
  release(): Promise<void>
}

export interface Store {
  get<T = unknown>(path: string): Promise<StoredDocument<T> | undefined>
  /** @returns The first version, 0. @throws ERR_STORE_EXISTS, ERR_STORE_TOO_LARGE */
  create(path: string, value: unknown): Promise<number>
  /** @returns The new version. @throws ERR_STORE_CONFLICT, ERR_STORE_NOT_FOUND, ERR_STORE_TOO_LARGE */
  update(path: string, value: unknown, version: number): Promise<number>
  /** @throws ERR_STORE_CONFLICT, ERR_STORE_NOT_FOUND */
  remove(path: string, version?: number): Promise<void>
  /** Names of the direct children, sorted. */
  list(path: string): Promise<string[]>
  /** Calls `changed` after changes at or under `path`, and once at the start. @returns A function that stops it. */
  watch(path: string, changed: () => void): () => void
  /** Waits for the leadership of `name`. @throws the signal's reason if aborted first */
  lead(name: string, signal: AbortSignal): Promise<Leadership>
  /** Whether a process holds the leadership of `name`, or is about to: one that waits takes over by itself. */
  isLed(name: string): Promise<boolean>
  close(): Promise<void>
}

/** Creates the node or, where it exists, updates it from what is there: reads, applies `change`, retries on conflict. */
export async function upsert<T>(
  store: Store,
  path: string,
  change: (before: T | undefined) => T | Promise<T>,
): Promise<T> {
  for (;;) {
    const before = await store.get<T>(path)
    const after = await change(before?.value)
    try {
      if (before === undefined) await store.create(path, after)
      else await store.update(path, after, before.version)
      return after
    } catch (error) {
      if (!raced(error)) throw error
    }
  }
}

function raced(error: unknown): boolean {
  const code = (error as { code?: unknown }).code
  return code === 'ERR_STORE_EXISTS' || code === 'ERR_STORE_CONFLICT' || code === 'ERR_STORE_NOT_FOUND'
}
