/**
 * File lock: a lock between processes that the kernel gives back when its holder dies, and a count of its holders.
 *
 * It is SQLite's own exclusive lock on a database of one row. Once the row is written, `locking_mode=EXCLUSIVE` keeps
 * the lock beyond the commit, until the connection is closed or its process ends. A stopped process keeps it.
 *
 * Invariants:
 *  L1. At most one holder of a path at a time, over all processes of the machine.
 *  L2. Each holder's epoch is higher than that of every holder before it, over restarts and power failures.
 *
 * Trap: POSIX gives up a process's locks on a file as soon as that process closes any descriptor of it. So nothing but
 * SQLite, which knows this, may open these files.
 * @module
 */
import { DatabaseSync } from 'node:sqlite'
import { isBusy } from './sqlite-error.ts'

export interface FileLock {
  readonly epoch: number
  release(): void
}

/** Takes the lock if it is free. @returns undefined if another holds it. */
export function tryLock(path: string): FileLock | undefined {
  const database = new DatabaseSync(path, { timeout: 0 })
  try {
    database.exec('BEGIN EXCLUSIVE')
    // Only now: set before, two that wait would each keep the shared lock that its attempt left behind, for ever.
    database.exec('PRAGMA locking_mode = EXCLUSIVE')
    const epoch = nextEpoch(database)
    database.exec('COMMIT')
    return { epoch, release: () => database.close() }
  } catch (error) {
    database.close()
    if (isBusy(error)) return undefined
    throw error
  }
}

function nextEpoch(database: DatabaseSync): number {
  database.exec(
    'CREATE TABLE IF NOT EXISTS holder (id INTEGER PRIMARY KEY CHECK (id = 1), epoch INTEGER NOT NULL) STRICT',
  )
  const row = database
    .prepare(
      'INSERT INTO holder VALUES (1, 1) ON CONFLICT (id) DO UPDATE SET epoch = epoch + 1 RETURNING epoch',
    )
    .get() as { epoch: number }
  return row.epoch
}
