/**
 * Beacon: a frame without records, with which a producer says how far it is (docs/design/0002-channels.md).
 *
 * The sequence of the frame is the one up to which everything was sent and nothing is about to be sent again. The body
 * has the oldest sequence that the producer still holds and, for each consumer, the epoch of the owner that it serves,
 * the position at which that owner continues, and the first sequence that counts for that consumer.
 * @module
 */
import {
  type FrameHeader,
  frameFlags,
  headerBytesV1,
  type Id64,
  stampHeader,
} from '../../../sdk/wire/frame.ts'
import { ByteReader, ByteWriter } from './bytes.ts'

export interface BeaconEntry {
  readonly consumer: string
  /** 0 before the first owner. */
  readonly epoch: number
  readonly position: number
  /** First sequence that counts for this consumer; earlier records were sent before it existed. */
  readonly from: number
  /** How often the record at `position` has ended its owner. */
  readonly attempts: number
}

export interface Beacon {
  readonly oldest: number
  readonly entries: readonly BeaconEntry[]
}

export interface BeaconStamp {
  readonly producer: Id64
  readonly origin: Id64
  readonly epoch: number
  readonly partition: number
  readonly sequence: number
  readonly creditVersion?: number
}

const beacons = new ByteWriter()

export function encodeBeacon(stamp: BeaconStamp, beacon: Beacon): Uint8Array {
  const writer = beacons.begin()
  for (let i = 0; i < headerBytesV1; i += 4) writer.u32(0)
  writer.u48(beacon.oldest)
  writer.u16(beacon.entries.length)
  for (const entry of beacon.entries) {
    writer.name(entry.consumer)
    writer.u32(entry.epoch)
    writer.u48(entry.position)
    writer.u48(entry.from)
    writer.u16(entry.attempts)
  }
  const frame = writer.finish()
  stampHeader(frame, { ...stamp, flags: frameFlags.beacon, count: 0 })
  return frame
}

/** Reads the body of a frame whose header has the beacon flag. @throws {CodedError} ERR_MESSAGE_MALFORMED */
export function decodeBeacon(frame: Uint8Array, header: FrameHeader): Beacon {
  const reader = new ByteReader(frame.subarray(header.headerBytes), 'a beacon')
  const oldest = reader.u48()
  const entries = Array.from({ length: reader.u16() }, () => ({
    consumer: reader.name(),
    epoch: reader.u32(),
    position: reader.u48(),
    from: reader.u48(),
    attempts: reader.u16(),
  }))
  reader.end()
  return { oldest, entries }
}
