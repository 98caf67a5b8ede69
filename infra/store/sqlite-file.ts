/**
 * SQLite file: a database file shared by processes, and how statements get through while others write.
 *
 * - WAL: readers and the writer do not wait for one another.
 * - synchronous=NORMAL: a commit is in the operating system's hands, so no death of a process loses it; a power failure
 *   may take the last seconds, and never tears the file. FULL would hold up the event loop, which also moves records,
 *   for a disk's flush at each commit (0.02 against 0.24 ms and more, measured on a fast disk), and would promise more
 *   than the bundle store beside it, which flushes every two minutes.
 * - Another writer is waited for asynchronously: a process stopped in mid-transaction does not block our event loop.
 * @module
 */
import { mkdir } from 'node:fs/promises'
import { dirname } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout } from 'node:timers/promises'
import { infraError } from '../errors.ts'
import { isBusy, storeError } from './sqlite-error.ts'

const busyWaitMs = 10
const busyTimeoutMs = 5_000

/** Runs `attempt` until no other connection is in its way. @throws {CodedError} ERR_STORE_BUSY, ERR_STORE_FAILED */
export async function whenFree<T>(file: string, attempt: () => T): Promise<T> {
  const deadlineMs = performance.now() + busyTimeoutMs
  for (;;) {
    try {
      return attempt()
    } catch (error) {
      if (!isBusy(error)) throw storeError(error, file)
      if (performance.now() > deadlineMs) {
        throw infraError(
          'ERR_STORE_BUSY',
          `Cannot use the store ${file}: another process has held it for ${busyTimeoutMs} ms. Does another \`concord up\`, or a database tool, use it? End that`,
        )
      }
      await setTimeout(1 + Math.random() * 4)
    }
  }
}

/** All of `change` or nothing of it. To be run by whenFree. */
export function inTransaction<T>(database: DatabaseSync, change: () => T): T {
  database.exec('BEGIN IMMEDIATE')
  try {
    const result = change()
    database.exec('COMMIT')
    return result
  } catch (error) {
    if (database.isTransaction) database.exec('ROLLBACK')
    throw error
  }
}

/** Opens the file, made with its tables where it does not exist. */
export async function openDatabase(file: string): Promise<DatabaseSync> {
  await mkdir(dirname(file), { recursive: true, mode: 0o700 })
  const database = await whenFree(file, () => new DatabaseSync(file, { timeout: busyWaitMs }))
  try {
    await whenFree(file, () => database.exec('PRAGMA journal_mode = WAL'))
    database.exec('PRAGMA synchronous = NORMAL')
    await whenFree(file, () => inTransaction(database, () => database.exec(tables)))
    return database
  } catch (error) {
    database.close()
    throw error
  }
}

/** `changes` is what watchers in other processes read: the paths last written, in order. */
const tables = `
  CREATE TABLE IF NOT EXISTS nodes (
    path TEXT PRIMARY KEY,
    value TEXT NOT NULL,
    version INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS changes (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    path TEXT NOT NULL
  ) STRICT;`
