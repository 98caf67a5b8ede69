/**
 * Opens the store that a URL names, and makes sure that this build understands its documents.
 * @module
 */
import { resolve } from 'node:path'
import { isCode } from '../../sdk/errors.ts'
import { infraError } from '../errors.ts'
import { paths, storeSchema } from './documents.ts'
import { openSqliteStore } from './sqlite.ts'
import type { Store } from './store.ts'

/**
 * @param url `sqlite:PATH`; the file is made where it does not exist.
 * @throws {CodedError} ERR_STORE_URL, ERR_STORE_SCHEMA, ERR_STORE_FAILED
 */
export async function openStore(url: string): Promise<Store> {
  const file = /^sqlite:(.+)$/.exec(url)?.[1]
  if (file === undefined)
    throw infraError('ERR_STORE_URL', `Cannot open store '${url}': expected sqlite:PATH`)
  const store = await openSqliteStore(resolve(file))
  try {
    await checkSchema(store, url)
    return store
  } catch (error) {
    await store.close()
    throw error
  }
}

async function checkSchema(store: Store, url: string): Promise<void> {
  const found = (await store.get<{ schema: number }>(paths.schema)) ?? (await createSchema(store))
  if (found.value.schema <= storeSchema) return
  throw infraError(
    'ERR_STORE_SCHEMA',
    `Cannot use the store ${url}: a later build wrote it (schema ${found.value.schema}, this build knows ${storeSchema}). ` +
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
