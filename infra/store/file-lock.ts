/**
 * FileLock: a lock between processes that the kernel releases when its holder dies; if asked for, with a count of its holders.
 *
 * It is SQLite's exclusive lock on a database with one row. Once the row is written, `locking_mode=EXCLUSIVE` keeps
 * the lock beyond the commit, until the connection is closed or its process ends. A stopped process keeps it.
 *
 * Invariants:
 *   L1. A path has at most one holder at a time, over all processes of the machine.
 *   L2. Each epoch is higher than that of every earlier holder, across restarts and power failures.
 *
 * Trap: POSIX releases a process's locks on a file as soon as that process closes any descriptor of it. So only
 * SQLite, which knows this, may open these files.
 * @module
 */
import { DatabaseSync } from 'node:sqlite'
import { isBusy } from './sqlite-error.ts'

export interface FileHold {
  release(): void
}

export interface FileLock extends FileHold {
  readonly epoch: number
}

/** Takes the lock if it is free. @returns undefined if another holds it. */
export function tryLock(path: string): FileLock | undefined {
  return tryTake(path, (database) => {
    database.exec('BEGIN EXCLUSIVE')
    // Not earlier: two waiting processes would each keep the shared lock of their attempt for ever.
    database.exec('PRAGMA locking_mode = EXCLUSIVE')
    const epoch = nextEpoch(database)
    database.exec('COMMIT')
    return { epoch, release: () => database.close() }
  })
}

/**
 * Takes the lock if it is free, without an epoch: by a transaction that stays open and writes nothing, so it can be had on a disk that
 * is full or cannot be written.
 * @returns undefined if another holds it.
 */
export function tryHold(path: string): FileHold | undefined {
  return tryTake(path, (database) => {
    database.exec('PRAGMA journal_mode = MEMORY') // or there would be a journal of the first page, if the file is empty
    database.exec('BEGIN EXCLUSIVE')
    return { release: () => database.close() }
  })
}

/** Whether somebody has the lock. Who tries to take it at this moment has to try again. */
export function isTaken(path: string): boolean {
  const hold = tryHold(path)
  hold?.release()
  return hold === undefined
}

function tryTake<Lock>(path: string, take: (database: DatabaseSync) => Lock): Lock | undefined {
  const database = new DatabaseSync(path, { timeout: 0 })
  try {
    return take(database)
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
