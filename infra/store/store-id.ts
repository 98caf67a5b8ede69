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
  /** By namespace: the values of `store.replaces` that have had their effect. */
  readonly replaced?: Readonly<Record<string, readonly string[]>>
}

/** What a store knows of its marks in JetStream (infra/checkpoints/mark.ts). */
export interface Marks {
  /** JetStream had its mark for the namespace. */
  readonly isMarked: boolean
  /** Values of `store.replaces` that have had their effect. */
  readonly replaced: readonly string[]
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

export async function marksOf(store: Store, namespace: string): Promise<Marks> {
  const { marked, replaced } = (await store.get<SchemaDocument>(paths.schema))?.value ?? {}
  return { isMarked: marked?.includes(namespace) === true, replaced: replaced?.[namespace] ?? [] }
}

/** Notes that JetStream has the mark, and that `replaces` has had its effect. */
export async function noteMarked(store: Store, namespace: string, replaces?: string): Promise<void> {
  const { isMarked, replaced } = await marksOf(store, namespace)
  const used = replaces === undefined || replaced.includes(replaces) ? [] : [replaces]
  if (isMarked && used.length === 0) return
  await upsert<SchemaDocument>(store, paths.schema, (before) => ({
    ...{ schema: storeSchema, ...before },
    marked: [...new Set([...(before?.marked ?? []), namespace])].sort(),
    replaced: { ...before?.replaced, [namespace]: [...(before?.replaced?.[namespace] ?? []), ...used] },
  }))
}
