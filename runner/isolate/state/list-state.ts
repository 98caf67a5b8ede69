/**
 * ListState: the entries of one arena in slices, each of a bounded time, for people who ask from outside.
 *
 *   LST1. As RS1 and RS2 of read-state.ts. A slice is over when it has what was asked for, fills an answer, or `isOver`.
 *   LST2. A slice ends between two places, so the next one begins where it ended, whoever has the partition by then.
 * Design: docs/design/0037-state-from-outside.md
 * @module
 */
import type { ListAsk } from '../../../infra/control/index.ts'
import type { PartitionState, StateEntry, StoredUnderKey } from '../../../sdk/api/state.ts'
import { ArenaReader, type ListedEntry, partKind, placesMax } from '../../../sdk/runtime/index.ts'
import { isOwnArena, partitionOfArena } from '../../../sdk/wire/arenas.ts'
import type { Isolate } from '../isolate.ts'
import { type Budget, entryBytes, expiryOf, listHead, shownKey, shownValue, sizeOf } from './shown.ts'

/** LST1: bytes of a value, and of JSON for a slice. Entries of one hash come together, whatever they take, up to as much again. */
const shownBytesMax = 100
const sliceBytesMax = 256 * 1024

export interface Slice {
  /** Empty: the instance does not have the partition. */
  readonly partitions: PartitionState[]
  /** The place where the next slice begins; absent: this was the last one. */
  readonly next?: number
}

/** @param arenas Those of the partitions that the instance has. */
export function listState(
  { state, format }: Pick<Isolate, 'state' | 'format'>,
  arenas: readonly number[],
  nowMs: number,
  { partition, isOwn, from, limit, prefix = '' }: ListAsk,
  isOver: () => boolean,
): Slice {
  const arena = arenas.find(
    (one) => partitionOfArena(one) === partition && isOwnArena(one) === (isOwn ?? false),
  )
  if (arena === undefined) return { partitions: [] }
  const of = { partition, ...(isOwn && { isOwn }) }
  if (!state.hasArena(arena)) return { partitions: [{ ...of, entries: 0, bytes: 0, timers: 0, listed: [] }] }
  const reader = new ArenaReader(new Map(state.arenas()).get(arena)!, format.own, nowMs)
  const { listed, next } = sliceOf(reader, { from, limit, prefix }, isOver)
  return {
    partitions: [{ ...of, ...sizeOf(reader), listed }],
    ...(next < placesMax && { next }),
  }
}

function sliceOf(
  reader: ArenaReader,
  { from, limit, prefix }: { readonly from: number; readonly limit: number; readonly prefix: string },
  isOver: () => boolean,
): { readonly listed: StateEntry[]; readonly next: number } {
  const budget: Budget = { bytes: sliceBytesMax }
  const begin = Buffer.from(prefix, 'base64')
  const listed: StateEntry[] = []
  let told = -1
  let place = from
  while (place < placesMax) {
    const { entries, next } = reader.chainAt(place, begin)
    for (const entry of entries) {
      if (entry.place > told && (listed.length >= limit || budget.bytes <= 0))
        return { listed, next: entry.place } // LST2
      const found = foundOf(entry, budget)
      if (found === undefined) continue
      budget.bytes -= entryBytes
      listed.push({ ...shownKey(entry.key, budget), ...found })
      told = entry.place
      if (budget.bytes < -sliceBytesMax) throw new Error('its keys of one hash are too long for an answer')
    }
    place = next
    if (isOver()) break
  }
  return { listed, next: place }
}

/** Undefined: it is an item of a list, or not the author's. */
function foundOf(entry: ListedEntry, budget: Budget): StoredUnderKey | undefined {
  const { part, number } = entry
  if (part === undefined) return { state: shownValue(entry, budget, shownBytesMax) }
  const expiry = expiryOf(entry)
  switch (part.kind) {
    case partKind.counter:
      return { counter: { value: number, ...expiry } }
    case partKind.window:
      return { windows: [{ start: part.number, sum: number, ...expiry }] }
    case partKind.timer:
      return { timers: [{ timeMs: part.number }] }
    case partKind.list: {
      if (part.number >= 0) return undefined
      const { first, next } = listHead(entry)
      return { list: { length: next - first, items: [], ...expiry } }
    }
    default:
      return undefined
  }
}
