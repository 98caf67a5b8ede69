/**
 * SqliteStore: the store of one machine, shared by its processes through one file.
 *
 * Each write also adds its path to the table `changes`. SQLite's `data_version` (1.5 µs a look) shows a process that
 * another one has written; `changes` shows where. A process tells its own watchers about its own writes at once.
 *
 * Invariants: DO1–DO3 of store.ts. DO1 by conditional statements, DO2 by `changes`, DO3 by file-lock.ts.
 * @module
 */
import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { setTimeout } from 'node:timers/promises'
import { infraError } from '../errors.ts'
import { type FileLock, isTaken, tryLock } from './file-lock.ts'
import { leaderStore } from './leader-store.ts'
import { documentText } from './limits.ts'
import { checkLeaderName, checkPath, checkPrefix } from './path.ts'
import { isBusy, storeError } from './sqlite-error.ts'
import { inTransaction, openDatabase, whenFree } from './sqlite-file.ts'
import type { Leadership, Store, StoredDocument } from './store.ts'
import { Watchers } from './watchers.ts'

const watchIntervalMs = 20
const leadIntervalMs = 25
/** Changes kept for watchers in other processes; a process further behind assumes that anything may have changed. */
const changesKept = 4096

export async function openSqliteStore(file: string): Promise<Store> {
  return new SqliteStore(file, await openDatabase(file))
}

class SqliteStore implements Store {
  readonly #file: string
  readonly #database: DatabaseSync
  readonly #statements: ReturnType<typeof prepare>
  readonly #watchers = new Watchers()
  readonly #closing = new AbortController()
  #poll: NodeJS.Timeout | undefined
  #dataVersion: number
  #changesSeen: number

  constructor(file: string, database: DatabaseSync) {
    this.#file = file
    this.#database = database
    this.#statements = prepare(database)
    this.#dataVersion = numberOf(this.#statements.dataVersion.get())
    this.#changesSeen = numberOf(this.#statements.lastChange.get())
  }

  async get<T>(path: string): Promise<StoredDocument<T> | undefined> {
    checkPath(path)
    const row = await this.#run(() => this.#statements.get.get(path))
    return row === undefined
      ? undefined
      : { value: JSON.parse(row['value'] as string) as T, version: row['version'] as number }
  }

  async create(path: string, value: unknown): Promise<number> {
    checkPath(path)
    const text = documentText(path, value)
    await this.#write(path, () => {
      if (this.#statements.create.run(path, text).changes === 0) {
        throw infraError('ERR_STORE_EXISTS', `Cannot create ${path}: it exists already`)
      }
    })
    return 0
  }

  async update(path: string, value: unknown, version: number): Promise<number> {
    checkPath(path)
    const text = documentText(path, value)
    await this.#write(path, () => {
      if (this.#statements.update.run(text, path, version).changes === 0)
        throw this.#lostRace('update', path, version)
    })
    return version + 1
  }

  async remove(path: string, version?: number): Promise<void> {
    checkPath(path)
    await this.#write(path, () => {
      if (this.#statements.remove.run(path, version ?? null).changes === 0)
        throw this.#lostRace('remove', path, version)
    })
  }

  async list(path: string): Promise<string[]> {
    checkPrefix(path)
    const prefix = path === '/' ? '/' : `${path}/`
    // '0' is the character after '/': exactly the paths with the prefix lie between the two.
    const rows = await this.#run(() => this.#statements.list.all({ prefix, end: `${prefix.slice(0, -1)}0` }))
    return rows.map((row) => row['name'] as string).sort()
  }

  watch(path: string, changed: () => void): () => void {
    checkPrefix(path)
    this.#checkOpen()
    const stop = this.#watchers.add(path, changed)
    this.#poll ??= setInterval(() => this.#look(), watchIntervalMs).unref()
    return () => {
      stop()
      if (this.#watchers.size === 0) this.#stopPolling()
    }
  }

  async lead(name: string, signal: AbortSignal): Promise<Leadership> {
    checkLeaderName(name)
    const waiting = AbortSignal.any([signal, this.#closing.signal])
    for (;;) {
      waiting.throwIfAborted()
      const lock = await this.#run(() => tryLock(`${this.#file}.leader-${name}`))
      if (lock !== undefined) return this.#leadership(lock)
      await setTimeout(leadIntervalMs, undefined, { signal: waiting }).catch(() => waiting.throwIfAborted())
    }
  }

  async isLed(name: string): Promise<boolean> {
    checkLeaderName(name)
    return this.#run(() => isTaken(`${this.#file}.leader-${name}`))
  }

  async close(): Promise<void> {
    if (this.#closing.signal.aborted) return
    this.#closing.abort(closedError(this.#file))
    this.#watchers.clear()
    this.#stopPolling()
    this.#database.close()
  }

  #leadership(lock: FileLock): Leadership {
    const lost = new AbortController()
    const release = () => {
      if (lost.signal.aborted) return
      lost.abort(new Error('the leadership was given up'))
      lock.release()
    }
    if (this.#closing.signal.aborted) release() // closed while we waited our turn
    this.#closing.signal.throwIfAborted()
    this.#closing.signal.addEventListener('abort', release, { once: true })
    return {
      epoch: lock.epoch,
      lost: lost.signal,
      store: leaderStore(this, this, lost.signal),
      seal: async () => {}, // a leader keeps its lock until its process ends, even while stopped
      release: async () => release(),
    }
  }

  async #write(path: string, change: () => void): Promise<void> {
    await this.#run(() =>
      inTransaction(this.#database, () => {
        change()
        const sequence = Number(this.#statements.noteChange.run(path).lastInsertRowid)
        if (sequence % 256 === 0) this.#statements.forgetChanges.run(sequence - changesKept)
      }),
    )
    if (!this.#closing.signal.aborted) this.#tellWatchers()
  }

  async #run<T>(attempt: () => T): Promise<T> {
    return whenFree(this.#file, () => {
      this.#checkOpen()
      return attempt()
    })
  }

  /** Looks whether another process has written. */
  #look(): void {
    const dataVersion = this.#unlessBusy(() => numberOf(this.#statements.dataVersion.get()))
    if (dataVersion === undefined || dataVersion === this.#dataVersion) return
    this.#dataVersion = dataVersion
    this.#tellWatchers()
  }

  #tellWatchers(): void {
    const changes = this.#unlessBusy(() => this.#statements.changes.all(this.#changesSeen))
    if (changes === undefined) this.#dataVersion = Number.NaN // so that the next look tells them
    for (const { sequence, path } of (changes ?? []) as { sequence: number; path: string }[]) {
      const missed = sequence > this.#changesSeen + 1
      this.#watchers.touch(missed ? undefined : path)
      this.#changesSeen = sequence
    }
  }

  #unlessBusy<T>(read: () => T): T | undefined {
    try {
      return read()
    } catch (error) {
      if (isBusy(error)) return undefined
      throw storeError(error, this.#file)
    }
  }

  #lostRace(what: string, path: string, version: number | undefined): Error {
    const found = this.#statements.get.get(path)
    if (found === undefined)
      return infraError('ERR_STORE_NOT_FOUND', `Cannot ${what} ${path}: there is no such node`)
    return infraError(
      'ERR_STORE_CONFLICT',
      `Cannot ${what} ${path} at version ${version}: it has version ${found['version']}. Read it again`,
    )
  }

  #checkOpen(): void {
    this.#closing.signal.throwIfAborted()
  }

  #stopPolling(): void {
    clearInterval(this.#poll)
    this.#poll = undefined
  }
}

function prepare(database: DatabaseSync) {
  return {
    get: database.prepare('SELECT value, version FROM nodes WHERE path = ?'),
    create: database.prepare(
      'INSERT INTO nodes (path, value, version) VALUES (?, ?, 0) ON CONFLICT DO NOTHING',
    ),
    update: database.prepare(
      'UPDATE nodes SET value = ?, version = version + 1 WHERE path = ? AND version = ?',
    ),
    remove: database.prepare('DELETE FROM nodes WHERE path = ? AND version = coalesce(?, version)'),
    list: database.prepare(
      `SELECT DISTINCT substr(rest, 1, instr(rest || '/', '/') - 1) AS name
       FROM (SELECT substr(path, length($prefix) + 1) AS rest FROM nodes WHERE path > $prefix AND path < $end)`,
    ),
    noteChange: database.prepare('INSERT INTO changes (path) VALUES (?)'),
    forgetChanges: database.prepare('DELETE FROM changes WHERE sequence <= ?'),
    changes: database.prepare('SELECT sequence, path FROM changes WHERE sequence > ? ORDER BY sequence'),
    lastChange: database.prepare('SELECT coalesce(max(sequence), 0) FROM changes'),
    dataVersion: database.prepare('PRAGMA data_version'),
  } satisfies Record<string, StatementSync>
}

function numberOf(row: Record<string, unknown> | undefined): number {
  return Number(Object.values(row ?? {})[0])
}

function closedError(file: string): Error {
  return infraError('ERR_STORE_CLOSED', `Cannot use the store ${file}: it was closed`)
}
