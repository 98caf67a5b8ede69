/**
 * Shown: how entries of state are told to people who ask from outside: as JSON, cut to what the answer has room for.
 * Design: docs/design/0037-state-from-outside.md
 * @module
 */
import { isUtf8 } from 'node:buffer'
import type { StoredValue } from '../../../sdk/api/state.ts'
import type { ArenaReader, StoredEntry } from '../../../sdk/runtime/index.ts'

/** What one more thing adds as JSON, besides the text of a value. */
export const entryBytes = 96
/** Two numbers. */
const listHeadBytes = 64

/** What is left for an answer. */
export interface Budget {
  /** Of JSON. */
  bytes: number
}

export function sizeOf({
  entries,
  bytes,
  timers,
}: ArenaReader): Record<'entries' | 'bytes' | 'timers', number> {
  return { entries, bytes, timers }
}

/** The numbers of the first item of a list and of the one after its last (sdk/runtime/state/typed-state.ts: `StateList`). */
export function listHead(head: StoredEntry): { readonly first: number; readonly next: number } {
  const [first, next] = Buffer.from(head.read(listHeadBytes)).toString().split(' ').map(Number) as [
    number,
    number,
  ]
  return { first, next }
}

/** As much of a value as the answer has room for, but at most its first `mostBytes`. */
export function shownValue(entry: StoredEntry, budget: Budget, mostBytes: number): StoredValue {
  const { bytes, format } = entry
  for (let most = Math.min(bytes, mostBytes); ; most >>= 1) {
    const text = valueText(entry.read(most), most < bytes)
    const jsonBytes = Buffer.byteLength(JSON.stringify(text))
    if (jsonBytes > budget.bytes && most > 0) continue
    budget.bytes -= jsonBytes + entryBytes
    return {
      ...{ ...text, bytes, ...expiryOf(entry) },
      ...(most < bytes && { isCut: true }),
      ...(format !== undefined && { format }),
    }
  }
}

/** A key, as text if it is. */
export function shownKey(
  key: Uint8Array,
  budget: Budget,
): { readonly key: string } | { readonly keyBase64: string } {
  const shown = isUtf8(key)
    ? { key: Buffer.from(key).toString() }
    : { keyBase64: Buffer.from(key).toString('base64') }
  budget.bytes -= Buffer.byteLength(JSON.stringify(shown))
  return shown
}

/** Text that was cut may end in the middle of a character. */
function valueText(value: Uint8Array, isCut: boolean): Pick<StoredValue, 'value' | 'valueBase64'> {
  for (let less = 0; less <= (isCut ? 3 : 0) && less <= value.length; less++) {
    const part = value.subarray(0, value.length - less)
    if (isUtf8(part)) return { value: Buffer.from(part).toString() }
  }
  return { valueBase64: Buffer.from(value).toString('base64') }
}

export function expiryOf({ expiresMs }: StoredEntry): { readonly expiresMs?: number } {
  return Number.isFinite(expiresMs) ? { expiresMs } : {}
}
