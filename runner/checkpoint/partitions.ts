/**
 * Partitions by input stream: the difference of two such lists, and the partitions of a share.
 * @module
 */
import type { FunctionAssignment, InstanceAssignment } from '../../infra/control/messages/assignment.ts'
import { firstArena } from '../../sdk/wire/arenas.ts'

/** How the inputs of a function are read. */
export type Groupings = FunctionAssignment['groupings']
export type PartitionsByStream = ReadonlyMap<string, readonly number[]>
type Partitions = InstanceAssignment['partitions']

/** Partitions in `these` and not in `others`, by stream. */
export function lacking(
  these: Partitions | PartitionsByStream,
  others: Partitions,
): Map<string, readonly number[]> {
  const rows = [...rowsOf(these)].map(
    ([stream, list]) => [stream, list.filter((p) => others[stream]?.includes(p) !== true)] as const,
  )
  return new Map(rows.filter(([, list]) => list.length > 0))
}

export function withPartitions(these: Partitions, more: PartitionsByStream): Partitions {
  const all: Record<string, readonly number[]> = { ...these }
  for (const [stream, list] of lacking(more, these))
    all[stream] = [...(all[stream] ?? []), ...list].sort((a, b) => a - b)
  return all
}

export function without(these: Partitions, gone: PartitionsByStream): Partitions {
  return Object.fromEntries(
    Object.entries(these).map(([stream, list]) => [
      stream,
      list.filter((p) => gone.get(stream)?.includes(p) !== true),
    ]),
  )
}

/** The partitions of a share: one of every input that is not broadcast and has enough partitions. */
export function partitionsOf(
  { groupings, streams }: Pick<FunctionAssignment, 'groupings' | 'streams'>,
  share: number,
): PartitionsByStream {
  const inputs = Object.keys(groupings).filter(
    (stream) => groupings[stream] !== 'broadcast' && share < (streams[stream]?.partitions ?? 0),
  )
  return new Map(inputs.map((stream) => [stream, [share]]))
}

/** The shares among them. */
export function sharedOf(groupings: Groupings, partitions: Partitions): number[] {
  const lists = Object.entries(partitions).filter(([stream]) => groupings[stream] !== 'broadcast')
  return [...new Set(lists.flatMap(([, list]) => list))]
}

/** The arenas with the state of these partitions. */
export function arenasOf(groupings: Groupings, partitions: Partitions): number[] {
  return [...byArena(groupings, partitions).keys()]
}

/** Partitions by the arena with their state; that of a share has its number. */
export function byArena(
  groupings: Groupings,
  partitions: Partitions | PartitionsByStream,
): Map<number, PartitionsByStream> {
  const all = new Map<number, Map<string, readonly number[]>>()
  for (const [stream, list] of rowsOf(partitions))
    for (const partition of list) {
      const arena = partition + firstArena(groupings[stream])
      const its = all.get(arena)
      if (its === undefined) all.set(arena, new Map([[stream, [partition]]]))
      else its.set(stream, [partition])
    }
  return all
}

function rowsOf(partitions: Partitions | PartitionsByStream): Iterable<[string, readonly number[]]> {
  return partitions instanceof Map ? partitions : Object.entries(partitions)
}
