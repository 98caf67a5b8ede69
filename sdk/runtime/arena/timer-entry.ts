/**
 * TimerEntry: a timer as an entry. Its key is the part of the author's key with the timer's time; its value is when
 * it is due, and its order among timers of the same time.
 * @module
 */
import { keyOffset, numberOf, partBytes, readBytes, valueOffset } from './entry.ts'
import { shape } from './layout.ts'

export function timerIn(words: Int32Array, at: number): { readonly dueMs: number; readonly order: number } {
  const valueAt = at + valueOffset(words[at + 3]!)
  return {
    dueMs: numberOf(words[valueAt]!, words[valueAt + 1]!),
    order: numberOf(words[valueAt + 2]!, words[valueAt + 3]!),
  }
}

export function timerKey(
  words: Int32Array,
  at: number,
): { readonly key: Uint8Array<ArrayBuffer>; readonly timeMs: number } {
  const form = words[at + 3]!
  const whole = readBytes(words, at + keyOffset(form), form & shape.keyBytes)
  const keyBytes = whole.length - partBytes
  const key = readBytes(words, at + keyOffset(form), keyBytes)
  return { key, timeMs: numberOf(wordOf(whole, keyBytes), wordOf(whole, keyBytes + 4)) }
}

function wordOf(bytes: Uint8Array, at: number): number {
  return bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)
}
