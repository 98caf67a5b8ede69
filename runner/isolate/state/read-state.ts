/**
 * ReadState: what the state of an instance has, and has under a key; for people who ask from outside.
 *
 *   RS1. Between two calls into the isolate, when its arenas are consistent (state-store.ts, SS3). Nothing is changed, and none of the
 *        author's code runs.
 *   RS2. It takes a bounded time, and the answer is smaller than a message may be, whatever is stored.
 * Design: docs/design/0037-state-from-outside.md
 * @module
 */
import type { StateAsk } from '../../../infra/control/index.ts'
import type { PartitionState, StoredUnderKey, StoredValue } from '../../../sdk/api/state.ts'
import { ArenaReader, partKind } from '../../../sdk/runtime/index.ts'
import { isOwnArena, partitionOfArena } from '../../../sdk/wire/arenas.ts'
import type { Isolate } from '../isolate.ts'
import { type Budget, entryBytes, expiryOf, listHead, shownValue, sizeOf } from './shown.ts'

/** RS2: bytes of a value, items of a list, chains and entries that are searched, and bytes of JSON for all that is found. */
const shownBytesMax = 64 * 1024
const shownItemsMax = 100
const searchedMax = 24_576
const answerBytesMax = 512 * 1024

/** What is left of RS2. */
interface SearchBudget extends Budget {
  searched: number
}

/** @param arenas Those of the partitions that the instance has. */
export function readState(
  { state, format }: Pick<Isolate, 'state' | 'format'>,
  arenas: readonly number[],
  nowMs: number,
  { key, partition, first }: Pick<StateAsk, 'key' | 'partition' | 'first'>,
): PartitionState[] {
  const asked = arenas.filter((one) => partition === undefined || partitionOfArena(one) === partition)
  const sought = key === undefined ? undefined : Buffer.from(key, 'base64')
  const slabs = new Map(state.arenas())
  const budget: SearchBudget = { searched: searchedMax, bytes: answerBytesMax }
  const inOrder = asked.toSorted((a, b) => Number(b === first) - Number(a === first))
  return inOrder.map((arena) => {
    const of = { partition: partitionOfArena(arena), ...(isOwnArena(arena) && ({ isOwn: true } as const)) }
    if (!state.hasArena(arena)) return { ...of, entries: 0, bytes: 0, timers: 0 }
    const reader = new ArenaReader(slabs.get(arena)!, format.own, nowMs)
    return { ...of, ...sizeOf(reader), ...(sought && underKey(reader, sought, budget)) }
  })
}

function underKey(
  reader: ArenaReader,
  key: Uint8Array,
  budget: SearchBudget,
): Pick<PartitionState, 'found' | 'isUnsearched'> {
  const isSearched = reader.size <= budget.searched
  if (isSearched) budget.searched -= reader.size
  const state = reader.find(key)
  const counter = reader.find(key, { kind: partKind.counter, number: 0 })
  const found: StoredUnderKey = {
    ...(state && { state: shownValue(state, budget, shownBytesMax) }),
    ...(counter && { counter: { value: counter.number, ...expiryOf(counter) } }),
    ...listOf(reader, key, budget),
    ...(isSearched && partsOf(reader, key, budget)),
  }
  return {
    ...(Object.keys(found).length > 0 && { found }),
    ...(!isSearched && { isUnsearched: true }),
  }
}

/** The last items of a list (sdk/runtime/state/typed-state.ts: `StateList`). */
function listOf(reader: ArenaReader, key: Uint8Array, budget: Budget): Pick<StoredUnderKey, 'list'> {
  const head = reader.find(key, { kind: partKind.list, number: -1 })
  if (head === undefined) return {}
  const { first, next } = listHead(head)
  const items: StoredValue[] = []
  for (let back = Math.min(next - first, shownItemsMax); back > 0 && budget.bytes > entryBytes; back--) {
    const item = reader.find(key, { kind: partKind.list, number: next - back })
    if (item !== undefined) items.push(shownValue(item, budget, shownBytesMax))
  }
  return { list: { length: next - first, items, ...expiryOf(head) } }
}

function partsOf(
  reader: ArenaReader,
  key: Uint8Array,
  budget: Budget,
): Pick<StoredUnderKey, 'windows' | 'timers'> {
  const windows = new Map<number, NonNullable<StoredUnderKey['windows']>[number]>()
  const timers: { timeMs: number }[] = []
  for (const part of reader.partsOf(key, [partKind.window, partKind.timer])) {
    if (budget.bytes < entryBytes) break
    budget.bytes -= entryBytes
    if (part.kind === partKind.timer) {
      timers.push({ timeMs: part.number })
      continue
    }
    const sum = reader.find(key, part)
    if (sum !== undefined) windows.set(part.number, { start: part.number, sum: sum.number, ...expiryOf(sum) })
  }
  return {
    ...(windows.size > 0 && { windows: [...windows.values()].sort((a, b) => a.start - b.start) }),
    ...(timers.length > 0 && { timers: timers.sort((a, b) => a.timeMs - b.timeMs) }),
  }
}
