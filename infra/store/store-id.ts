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
  /** Namespaces of which JetStream has this store's mark (infra/checkpoints/mark.ts); absent: none, or an earlier build wrote it. */
  readonly marked?: readonly string[]
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

/** Whether JetStream had the store's mark for a namespace. */
export async function hasMarked(store: Store, namespace: string): Promise<boolean> {
  const found = await store.get<SchemaDocument>(paths.schema)
  return found?.value.marked?.includes(namespace) === true
}

/** Notes that JetStream has it. */
export async function noteMarked(store: Store, namespace: string): Promise<void> {
  if (await hasMarked(store, namespace)) return
  await upsert<SchemaDocument>(store, paths.schema, (before) => ({
    ...{ schema: storeSchema, ...before },
    marked: [...new Set([...(before?.marked ?? []), namespace])].sort(),
  }))
}
