/**
 * StateText: the text of `concord fn state`.
 * @module
 */
import type {
  FunctionState,
  PartitionState,
  StateEntry,
  StoredUnderKey,
  StoredValue,
} from '../../api/state.ts'
import { table } from '../terminal.ts'

type Row = readonly [kind: string, value: string, expiresMs?: number | undefined]
type Told = FunctionState['instances'][number]

/** How much there is, by partition; undefined: nothing. */
export function sizesText(state: FunctionState): string | undefined {
  const rows = byPartition(state)
    .filter(({ entries, timers }) => entries + timers > 0)
    .map((one) => [partitionText(one), one.instance, one.entries, one.bytes, one.timers])
  return rows.length === 0
    ? undefined
    : table([['PARTITION', 'INSTANCE', 'ENTRIES', 'BYTES', 'TIMERS'], ...rows])
}

/** What a key has; undefined: nothing. */
export function foundText(state: FunctionState): string | undefined {
  const rows = byPartition(state).flatMap((one) =>
    rowsOf(one.found ?? {}).map((row) => [partitionText(one), one.instance, ...cellsOf(row, one)]),
  )
  return rows.length === 0
    ? undefined
    : table([['PARTITION', 'INSTANCE', 'KIND', 'EXPIRES', 'VALUE'], ...rows])
}

/** What is stored; undefined: nothing. */
export function listedText(state: FunctionState): string | undefined {
  const rows = byPartition(state).flatMap((one) =>
    (one.listed ?? []).flatMap((entry) =>
      rowsOf(entry).map((row) => [partitionText(one), one.instance, keyText(entry), ...cellsOf(row, one)]),
    ),
  )
  return rows.length === 0
    ? undefined
    : table([['PARTITION', 'INSTANCE', 'KEY', 'KIND', 'EXPIRES', 'VALUE'], ...rows])
}

function cellsOf([kind, value, expiresMs]: Row, { readAtMs }: Pick<Told, 'readAtMs'>): string[] {
  const expires = expiresMs === undefined ? '-' : `in ${Math.ceil((expiresMs - readAtMs) / 1000)} s`
  return [kind, expires, value]
}

function byPartition({ instances }: FunctionState): (PartitionState & Omit<Told, 'partitions'>)[] {
  const all = instances.flatMap(({ partitions, ...told }) => partitions.map((one) => ({ ...one, ...told })))
  return all.sort((a, b) => a.partition - b.partition)
}

/** How old the answer is, and what it does not cover. */
export function remarksOf({ instances, unread }: FunctionState): string[] {
  const all = instances.flatMap(({ partitions }) => partitions)
  const unsearched = all.filter(({ isUnsearched }) => isUnsearched).map(partitionText)
  const narrower = all.length > 1 ? '; --partition N searches one' : ''
  return [
    ...instances.filter(({ partitions }) => partitions.some(isShown)).map(readText),
    ...(unsearched.length === 0
      ? []
      : [`too large to look for windows and timers: ${countText(unsearched)}${narrower}`]),
    ...unread.map(({ partitions, why }) =>
      partitions.length === 0 ? `not read: ${why}` : `${countText(partitions.map(String))} not read: ${why}`,
    ),
  ]
}

function isShown({ found, listed = [] }: PartitionState): boolean {
  return found !== undefined || listed.length > 0
}

function readText({ instance, version, readAtMs }: Told): string {
  return `read from ${instance} v${version} between two batches, at ${new Date(readAtMs).toISOString()}`
}

function countText(partitions: readonly string[]): string {
  return `partition${partitions.length === 1 ? '' : 's'} ${partitions.join(', ')}`
}

function partitionText({ partition, isOwn }: PartitionState): string {
  return isOwn ? `${partition} (its own)` : String(partition)
}

function rowsOf({ state, counter, list, windows = [], timers = [] }: StoredUnderKey): Row[] {
  return [
    ...(state === undefined ? [] : [['state', valueText(state), state.expiresMs] as const]),
    ...(counter === undefined ? [] : [['counter', String(counter.value), counter.expiresMs] as const]),
    ...(list === undefined ? [] : [['list', listText(list), list.expiresMs] as const]),
    ...windows.map(({ start, sum, expiresMs }) => ['window', `${start}: ${sum}`, expiresMs] as const),
    ...timers.map(({ timeMs }) => ['timer', timeText(timeMs)] as const),
  ]
}

/** On one line, as a value is; one that would not be seen is quoted. */
function keyText({ key, keyBase64 = '' }: StateEntry): string {
  if (key === undefined) return `base64 ${keyBase64}`
  return key.trim() === '' || key.includes('\n') ? JSON.stringify(key) : key
}

function listText({ length, items }: NonNullable<StoredUnderKey['list']>): string {
  if (items.length === 0) return `${length} items`
  const before = length > items.length ? [`… ${length - items.length} more`] : []
  return `[${[...before, ...items.map(valueText)].join(', ')}]`
}

/** On one line: a value of several is quoted. */
function valueText({ value, valueBase64 = '', bytes, isCut, format }: StoredValue): string {
  const text =
    value === undefined ? `base64 ${valueBase64}` : value.includes('\n') ? JSON.stringify(value) : value
  const cut = isCut ? ` … (${bytes} bytes)` : ''
  return `${text}${cut}${format === undefined ? '' : ` (in the format of v${format})`}`
}

/** A time that a function has set may be out of the range of dates. */
function timeText(timeMs: number): string {
  return Math.abs(timeMs) <= 8.64e15 ? new Date(timeMs).toISOString() : `${timeMs} ms`
}
