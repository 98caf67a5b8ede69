/**
 * ReadState: what the state of an instance has, and has under a key; for people who ask from outside.
 *
 *   RS1. Between two calls into the isolate, when its arenas are consistent (state-store.ts, SS3). Nothing is changed, and none of the
 *        author's code runs.
 *   RS2. It takes a bounded time, and the answer is smaller than a message may be, whatever is stored.
 * Design: docs/design/0037-state-from-outside.md
 * @module
 */
import { isUtf8 } from 'node:buffer'
import type { StateAsk } from '../../../infra/control/index.ts'
import type { PartitionState, StoredUnderKey, StoredValue } from '../../../sdk/api/state.ts'
import { ArenaReader, partKind, type StoredEntry } from '../../../sdk/runtime/index.ts'
import { isOwnArena, partitionOfArena } from '../../../sdk/wire/arenas.ts'
import type { Isolate } from '../isolate.ts'

/** RS2: bytes of a value, items of a list, chains and entries that are searched, and bytes of JSON for all that is found. */
const shownBytesMax = 64 * 1024
const shownItemsMax = 100
const searchedMax = 24_576
const answerBytesMax = 512 * 1024
/** What one more thing adds as JSON, besides the text of a value. */
const eachBytes = 96

/** What is left of RS2. */
interface Budget {
  searched: number
  bytes: number
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
  const budget: Budget = { searched: searchedMax, bytes: answerBytesMax }
  const inOrder = asked.toSorted((a, b) => Number(b === first) - Number(a === first))
  return inOrder.map((arena) => {
    const of = { partition: partitionOfArena(arena), ...(isOwnArena(arena) && ({ isOwn: true } as const)) }
    if (!state.hasArena(arena)) return { ...of, entries: 0, bytes: 0, timers: 0 }
    const reader = new ArenaReader(slabs.get(arena)!, format.own, nowMs)
    const { entries, bytes, timers } = reader
    return { ...of, entries, bytes, timers, ...(sought && underKey(reader, sought, budget)) }
  })
}

function underKey(
  reader: ArenaReader,
  key: Uint8Array,
  budget: Budget,
): Pick<PartitionState, 'found' | 'isUnsearched'> {
  const isSearched = reader.size <= budget.searched
  if (isSearched) budget.searched -= reader.size
  const state = reader.find(key)
  const counter = reader.find(key, { kind: partKind.counter, number: 0 })
  const found: StoredUnderKey = {
    ...(state && { state: shownValue(state, budget) }),
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
  const text = new TextDecoder().decode(head.read(shownBytesMax))
  const [first, next] = text.split(' ').map(Number) as [number, number]
  const items: StoredValue[] = []
  for (let back = Math.min(next - first, shownItemsMax); back > 0 && budget.bytes > eachBytes; back--) {
    const item = reader.find(key, { kind: partKind.list, number: next - back })
    if (item !== undefined) items.push(shownValue(item, budget))
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
    if (budget.bytes < eachBytes) break
    budget.bytes -= eachBytes
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

/** As much of a value as the answer has room for. */
function shownValue(entry: StoredEntry, budget: Budget): StoredValue {
  const { bytes, format } = entry
  for (let most = Math.min(bytes, shownBytesMax); ; most >>= 1) {
    const text = textOf(entry.read(most), most < bytes)
    const jsonBytes = Buffer.byteLength(JSON.stringify(text))
    if (jsonBytes > budget.bytes && most > 0) continue
    budget.bytes -= jsonBytes + eachBytes
    return {
      ...{ ...text, bytes, ...expiryOf(entry) },
      ...(most < bytes && { isCut: true }),
      ...(format !== undefined && { format }),
    }
  }
}

/** Text that was cut may end in the middle of a character. */
function textOf(value: Uint8Array, isCut: boolean): Pick<StoredValue, 'value' | 'valueBase64'> {
  for (let less = 0; less <= (isCut ? 3 : 0) && less <= value.length; less++) {
    const part = value.subarray(0, value.length - less)
    if (isUtf8(part)) return { value: Buffer.from(part).toString() }
  }
  return { valueBase64: Buffer.from(value).toString('base64') }
}

function expiryOf({ expiresMs }: StoredEntry): { readonly expiresMs?: number } {
  return Number.isFinite(expiresMs) ? { expiresMs } : {}
}
