/**
 * Effects: a checksum of what an outcome log says was done: all of it but the texts of errors, whose stacks name places in code
 * that is loaded otherwise in a replay, and what was swept: a replay begins its pass over the state anew.
 * @module
 */
import { crc32 } from 'node:zlib'
import { recordBytes } from '../frame.ts'
import { entryKind } from '../runtime/layout.ts'

/** @param log Well formed: the host has read it before. */
export function effectsCrc(log: Uint8Array<ArrayBuffer>): number {
  const words = new Int32Array(log.buffer, log.byteOffset, log.length >> 2)
  let crc = 0
  let from = 0
  for (let at = 0; at < words.length; ) {
    const kind = words[at]! & 0xff
    if (kind === entryKind.output) at += 1 + (recordBytes(words[at + 2]!, words[at + 1]!) >> 2)
    else if (kind === entryKind.metric) at += 3
    else if (kind === entryKind.swept) {
      crc = crc32(log.subarray(from * 4, at * 4), crc)
      from = ++at
    } else if (kind !== entryKind.report) at += 1
    else {
      crc = crc32(log.subarray(from * 4, (at + 1) * 4), crc)
      at += 2 + ((words[at + 1]! + 3) >> 2)
      from = at
    }
  }
  return crc32(log.subarray(from * 4), crc)
}
