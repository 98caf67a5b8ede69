/**
 * Part: some pages of a checkpoint as one message. Layout: docs/design/0008-checkpoints.md.
 * @module
 */
import { crc32 } from 'node:zlib'
import { infraError } from '../errors.ts'

const magic = 0x54504343 // "CCPT"
const version = 1
const headBytes = 24

/** Bytes of a page, as `sdk/runtime/arena` counts them; part of the format. */
export const partPageBytes = 1024
/** 256 KiB and a little: far below the server's `max_payload`, and a fifth of a millisecond to make. */
export const partPagesMax = 250

/** A segment's name: the owner's epoch, and the number of its cut. */
export interface SegmentId {
  readonly epoch: number
  readonly number: number
}

export interface Part {
  readonly segment: SegmentId
  readonly index: number
  readonly pages: Uint32Array
  /** The pages' bytes, one behind the other. */
  readonly bytes: Uint8Array
}

export interface EncodedPart {
  readonly message: Uint8Array
  readonly crc: number
}

export function encodePart({ segment, index, pages, bytes }: Part): EncodedPart {
  const message = new Uint8Array(headBytes + pages.length * (4 + partPageBytes))
  const view = new DataView(message.buffer)
  view.setUint32(0, magic, true)
  view.setUint8(4, version)
  view.setUint16(6, pages.length, true)
  view.setUint32(12, segment.epoch, true)
  view.setUint32(16, segment.number, true)
  view.setUint32(20, index, true)
  for (let i = 0; i < pages.length; i++) view.setUint32(headBytes + 4 * i, pages[i]!, true)
  message.set(bytes.subarray(0, pages.length * partPageBytes), headBytes + 4 * pages.length)
  const crc = crc32(message.subarray(12))
  view.setUint32(8, crc, true)
  return { message, crc }
}

/**
 * Reads the part that should be `index` of `segment`.
 * @throws {CodedError} ERR_CHECKPOINT_CORRUPT if it is torn, changed or another one; ERR_CHECKPOINT_FORMAT.
 */
export function decodePart(message: Uint8Array, segment: SegmentId, index: number): Part & { crc: number } {
  const view = new DataView(message.buffer, message.byteOffset, message.byteLength)
  if (message.length < headBytes || view.getUint32(0, true) !== magic)
    throw corrupt(segment, index, `${message.length} bytes that are no part of a checkpoint`)
  if (view.getUint8(4) !== version)
    throw infraError(
      'ERR_CHECKPOINT_FORMAT',
      `Cannot read a part of a checkpoint: its format is ${view.getUint8(4)}, this build reads ${version}`,
    )
  const count = view.getUint16(6, true)
  if (message.length !== headBytes + count * (4 + partPageBytes))
    throw corrupt(segment, index, `${message.length} bytes for ${count} pages`)
  const crc = crc32(message.subarray(12))
  if (crc !== view.getUint32(8, true)) throw corrupt(segment, index, 'another checksum than its bytes have')
  const found = [view.getUint32(12, true), view.getUint32(16, true), view.getUint32(20, true)]
  if (found[0] !== segment.epoch || found[1] !== segment.number || found[2] !== index)
    throw corrupt(segment, index, `part ${found[2]} of segment ${found[0]}-${found[1]}`)
  const pages = Uint32Array.from({ length: count }, (_, i) => view.getUint32(headBytes + 4 * i, true))
  return { segment, index, pages, bytes: message.subarray(headBytes + 4 * count), crc }
}

/** The checksum of a segment: over those of its parts, in order. */
export function joinCrc(crc: number, partCrc: number): number {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(partCrc)
  return crc32(bytes, crc)
}

function corrupt(segment: SegmentId, index: number, found: string): Error {
  return infraError(
    'ERR_CHECKPOINT_CORRUPT',
    `Cannot read part ${index} of segment ${segment.epoch}-${segment.number} of a checkpoint: found ${found}`,
  )
}
