/**
 * Moves: partitions of a function's inputs that a person moves to an instance, or back
 * (docs/design/0036-moved-by-hand.md).
 *
 *   MV1. They are part of the function's document (`homes`), so deploys and rollbacks keep them.
 * @module
 */
import type { z } from 'zod'
import { type FunctionDocument, paths, type Store, upsert } from '../../infra/store/index.ts'
import type { MoveAnswer, moveSchema } from '../../sdk/api/moved.ts'
import { type CatalogView, functionIn, type LiveFunction } from '../catalog/catalog.ts'
import { type Moved, movedView } from '../catalog/views.ts'
import { refuse, unknownFunction } from '../errors.ts'

/** @throws {CodedError} ERR_FUNCTION_UNKNOWN, ERR_INSTANCE_UNKNOWN, ERR_PARTITION_UNKNOWN */
export async function moveAsWished(
  store: Store,
  ns: string,
  view: CatalogView,
  name: string,
  wish: z.output<typeof moveSchema>,
): Promise<MoveAnswer> {
  const live = functionIn(view, name)
  const index = 'to' in wish ? indexOf(live, wish.to) : undefined
  checkPartitions(view, live, wish.partitions ?? [])
  let moved: Moved = {}
  let changes: number[] = []
  await upsert<FunctionDocument>(store, paths.function(ns, name), (document) => {
    if (document === undefined || document.deleted === true) throw unknownFunction(name)
    const { homes: before = {}, ...rest } = document
    const wanted = wish.partitions ?? Object.keys(before).map(Number)
    moved = changed(before, wanted, index)
    changes = wanted.filter((partition) => before[partition] !== index)
    return Object.keys(moved).length === 0 ? rest : { ...rest, homes: moved }
  })
  return { homes: movedView(name, moved), changed: changes }
}

function changed(before: Moved, partitions: readonly number[], index: number | undefined): Moved {
  const others = Object.entries(before).filter(([share]) => !partitions.includes(Number(share)))
  const put = index === undefined ? [] : partitions.map((share) => [String(share), index] as const)
  return Object.fromEntries([...others, ...put])
}

function indexOf({ name, status }: LiveFunction, id: string): number {
  const staying = (status?.instances ?? []).filter(({ retiring }) => retiring !== true)
  const found = staying.find((instance) => instance.id === id)
  if (found !== undefined) return found.index
  const those = staying.length === 0 ? 'it has none' : `it has ${staying.map((one) => one.id).join(', ')}`
  throw refuse(
    'ERR_INSTANCE_UNKNOWN',
    `Cannot move partitions of '${name}' to '${id}': ${those}. \`concord fn scale ${name} N\` gives it more.`,
  )
}

function checkPartitions(
  { streams }: CatalogView,
  { name, version }: LiveFunction,
  wanted: readonly number[],
) {
  const inputs = Object.entries(version.manifest.istreams).filter(
    ([, input]) => input.grouping !== 'broadcast',
  )
  const count = Math.max(0, ...inputs.map(([stream]) => streams.get(stream)?.document.partitions ?? 0))
  const beyond = wanted.find((partition) => partition >= count)
  if (beyond === undefined) return
  const found =
    count === 0
      ? 'it has no input whose partitions are shared among its instances'
      : `its inputs have the partitions 0 to ${count - 1}`
  throw refuse('ERR_PARTITION_UNKNOWN', `Cannot move partition ${beyond} of '${name}': ${found}.`)
}
