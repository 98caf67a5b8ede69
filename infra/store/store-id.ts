/**
 * StoreId: the id of a store, made once and kept in its schema document. It tells two stores apart, and a new store
 * from a lost one.
 * @module
 */
import { randomBytes } from 'node:crypto'
import { paths, storeSchema } from './documents.ts'
import { type Store, upsert } from './store.ts'

interface SchemaDocument {
  readonly schema: number
  /** Absent if an earlier build wrote it. */
  readonly id?: string
}

/** 16 hex digits. */
export async function storeIdOf(store: Store): Promise<string> {
  const found = (await store.get<SchemaDocument>(paths.schema))?.value.id
  if (found !== undefined) return found
  const made = randomBytes(8).toString('hex')
  const { id = made } = await upsert<SchemaDocument>(store, paths.schema, (before) => ({
    ...{ schema: storeSchema, id: made },
    ...before,
  }))
  return id
}
