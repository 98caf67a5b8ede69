/**
 * Effects: a checksum of what a call did, from its outcome log. Left out are the texts of errors, whose stacks name
 * other places in a replay, and the sweeping of expired entries: a replay begins its pass over the state anew.
 * @module
 */
import { crc32 } from 'node:zlib'
import { entryWords, kindOf } from '../runtime/outcome/outcome-entry.ts'
import { entryKind } from '../runtime/shared/layout.ts'

/** @param log A well-formed log: the host has read it before. */
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
