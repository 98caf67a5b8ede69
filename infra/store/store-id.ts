/**
 * StoreId: the id of a store, made once and kept in the document of its schema: two stores are never taken for one another,
 * nor one that was begun anew for the one before.
 * @module
 */
import { randomBytes } from 'node:crypto'
import { paths, storeSchema } from './documents.ts'
import { type Store, upsert } from './store.ts'

interface SchemaDocument {
  readonly schema: number
  /** Absent in what builds before it wrote. */
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
