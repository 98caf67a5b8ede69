/**
 * Difference: a record, or the timers of a call, for which two versions differ, in the form in which it is stored.
 * @module
 */
import { isUtf8 } from 'node:buffer'
import {
  outputBytes,
  outputTimeMs,
  readFields,
  reportParts,
  reportText,
  streamOf,
} from '../../sdk/runtime/index.ts'
import type { ShadowDifference, ShadowOutput, ShadowSide } from '../../sdk/versions/shadow.ts'
import { recordsOf } from '../../sdk/wire/frame.ts'
import type { InputFrame } from '../isolate/index.ts'
import type { Made } from './compare.ts'

/** A larger difference is cut. As JSON it is at most six times as long, and NATS takes 1 MiB. */
const bytesMax = 96 * 1024

/** The room that is left in a difference. */
class Room {
  left = bytesMax
  cut = false

  take(bytes: Uint8Array): Uint8Array {
    const taken = bytes.subarray(0, Math.max(0, this.left))
    if (taken.length < bytes.length) this.cut = true
    this.left -= taken.length
    return taken
  }
}

/** @param index Of the record, among those of the frames that are not skipped. */
export function differenceOf(
  frames: readonly InputFrame[],
  index: number,
  live: Made,
  shadow: Made,
): ShadowDifference {
  const room = new Room()
  const { frame, at } = placeOf(frames, index)
  const record = [...recordsOf(frame.bytes, frame.header)][at]!
  const { partition, producer, sequence } = frame.header
  const place = { stream: frame.stream, partition, producer, sequence: sequence + at }
  const given = { ...asKey(room.take(record.key)), ...asValue(room.take(record.value)) }
  return { ...place, ...given, ...sidesOf(room, live, shadow) }
}

export function timersDifference(nowMs: number, live: Made, shadow: Made): ShadowDifference {
  return { timersAtMs: nowMs, ...sidesOf(new Room(), live, shadow) }
}

function placeOf(frames: readonly InputFrame[], index: number): { frame: InputFrame; at: number } {
  let left = index
  for (const frame of frames) {
    const count = frame.header.count - frame.skip
    if (left < count) return { frame, at: frame.skip + left }
    left -= count
  }
  throw new Error(`invariant: record ${index} was compared and never given`)
}

function sidesOf(room: Room, live: Made, shadow: Made) {
  const sides = { live: sideOf(room, live), shadow: sideOf(room, shadow) }
  return room.cut ? { ...sides, cut: true as const } : sides
}

function sideOf(room: Room, { side, words, outputs, failed, reportAt }: Made): ShadowSide {
  const { log } = side
  const listed: ShadowOutput[] = []
  for (const at of outputs) {
    if (room.cut) break
    const { keyAt, valueAt, end } = outputBytes(words, at)
    const key = room.take(log.subarray(keyAt, valueAt))
    const value = room.take(log.subarray(valueAt, end))
    const timeMs = outputTimeMs(words, at)
    const stream = side.outputs[streamOf(words[at]!)]?.name ?? '?'
    listed.push({ stream, ...asKey(key), ...asValue(value), timeMs })
  }
  return failed ? { outputs: listed, error: errorAt(log, words, reportAt) } : { outputs: listed }
}

function errorAt(log: Uint8Array, words: Int32Array, at: number): string {
  if (at < 0) return 'it threw; what was not told'
  const { name, message } = readFields(reportParts(words[at]!, text(reportText(log, words, at))).rest)
  return `${name}: ${message}`
}

function asKey(bytes: Uint8Array) {
  return isUtf8(bytes) ? { key: text(bytes) } : { keyBase64: base64(bytes) }
}

function asValue(bytes: Uint8Array) {
  return isUtf8(bytes) ? { value: text(bytes) } : { valueBase64: base64(bytes) }
}

function text(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('utf8')
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('base64')
}
