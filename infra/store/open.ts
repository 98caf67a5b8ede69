/**
 * Open: opens the store that a URL names, and checks that this build understands its documents.
 * @module
 */
import { resolve } from 'node:path'
import { isCode } from '../../sdk/errors.ts'
import { infraError } from '../errors.ts'
import { paths, storeSchema } from './documents.ts'
import { openSqliteStore } from './sqlite.ts'
import type { Store } from './store.ts'
import { openZooKeeperStore, type StoreLog } from './zookeeper/index.ts'

/** As in the configuration, under `store`. */
export interface StoreSettings {
  /** `sqlite:PATH`; the file is made where it does not exist. Or `zk://HOST[:PORT],HOST[:PORT]…/PATH`. */
  readonly url: string
  /** For ZooKeeper: the owner of all nodes. */
  readonly user?: string | undefined
  readonly password?: string | undefined
  readonly sessionTimeoutMs?: number | undefined
}

export interface StoreOptions {
  /** How long a call waits for a store that does not answer, before it fails with ERR_STORE_UNAVAILABLE. */
  readonly patienceMs?: number
  readonly log?: StoreLog
}

/**
 * @param store Settings, or a URL alone.
 * @throws {CodedError} ERR_STORE_URL, ERR_STORE_SCHEMA, ERR_STORE_FAILED, and of ZooKeeper ERR_STORE_MODULE,
 *   ERR_STORE_REFUSED, ERR_STORE_UNAVAILABLE
 */
export async function openStore(store: string | StoreSettings, options: StoreOptions = {}): Promise<Store> {
  const settings = typeof store === 'string' ? { url: store } : store
  const opened = await open(settings, options)
  try {
    await checkSchema(opened, settings.url)
    return opened
  } catch (error) {
    await opened.close()
    throw error
  }
}

function open(settings: StoreSettings, options: StoreOptions): Promise<Store> {
  const { url, user, password, sessionTimeoutMs } = settings
  const file = /^sqlite:(.+)$/.exec(url)?.[1]
  if (file !== undefined) return openSqliteStore(resolve(file))
  if (url.startsWith('zk:')) return openZooKeeperStore({ url, user, password, sessionTimeoutMs, ...options })
  throw infraError(
    'ERR_STORE_URL',
    `Cannot open store '${url}': expected sqlite:PATH or zk://HOST,HOST,…/PATH`,
  )
}

/** There is only one schema so far, so no migration: any other schema is refused. */
async function checkSchema(store: Store, url: string): Promise<void> {
  const found = (await store.get<{ schema: number }>(paths.schema)) ?? (await createSchema(store))
  const { schema } = found.value
  if (schema === storeSchema) return
  const build = schema > storeSchema ? 'a later build' : 'a build before the first release'
  throw infraError(
    'ERR_STORE_SCHEMA',
    `Cannot use the store ${url}: ${build} wrote it (schema ${schema}, this build knows ${storeSchema}). ` +
      'Use that build, or another store',
  )
}

async function createSchema(store: Store): Promise<{ value: { schema: number } }> {
  try {
    await store.create(paths.schema, { schema: storeSchema })
  } catch (error) {
    if (!isCode(error, 'ERR_STORE_EXISTS')) throw error // else another process opened it in the same moment
  }
  return (await store.get<{ schema: number }>(paths.schema))!
}
