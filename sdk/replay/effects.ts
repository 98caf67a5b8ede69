/**
 * Effects: a checksum of what an outcome log says was done: all of it but the texts of errors, whose stacks name places in code
 * that is loaded otherwise in a replay, and what was swept: a replay begins its pass over the state anew.
 * @module
 */
import { crc32 } from 'node:zlib'
import { entryWords, kindOf } from '../runtime/outcome/outcome-entry.ts'
import { entryKind } from '../runtime/shared/layout.ts'

/** @param log Well formed: the host has read it before. */
export function effectsCrc(log: Uint8Array<ArrayBuffer>): number {
  const words = new Int32Array(log.buffer, log.byteOffset, log.length >> 2)
  let crc = 0
  let from = 0
  for (let at = 0; at < words.length; ) {
    const kind = kindOf(words[at]!)
    const next = at + entryWords(words, at)
    if (kind === entryKind.swept || kind === entryKind.report) {
      const end = kind === entryKind.report ? at + 1 : at
      crc = crc32(log.subarray(from * 4, end * 4), crc)
      from = next
    }
    at = next
  }
  return crc32(log.subarray(from * 4), crc)
}
