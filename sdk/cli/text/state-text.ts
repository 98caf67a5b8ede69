/**
 * StateText: the text of `concord fn state`.
 * @module
 */
import type { FunctionState, PartitionState, StoredUnderKey, StoredValue } from '../../api/state.ts'
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
    rowsOf(one.found ?? {}).map(([kind, value, expiresMs]) => [
      ...[partitionText(one), one.instance, kind],
      expiresMs === undefined ? '-' : `in ${Math.ceil((expiresMs - one.readAtMs) / 1000)} s`,
      value,
    ]),
  )
  return rows.length === 0
    ? undefined
    : table([['PARTITION', 'INSTANCE', 'KIND', 'EXPIRES', 'VALUE'], ...rows])
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
    ...instances.filter(({ partitions }) => partitions.some(({ found }) => found)).map(readText),
    ...(unsearched.length === 0
      ? []
      : [`too large to look for windows and timers: ${countText(unsearched)}${narrower}`]),
    ...unread.map(({ partitions, why }) =>
      partitions.length === 0 ? `not read: ${why}` : `${countText(partitions.map(String))} not read: ${why}`,
    ),
  ]
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

function listText({ length, items }: NonNullable<StoredUnderKey['list']>): string {
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
