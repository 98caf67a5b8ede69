/**
 * Alone: puts a record into a frame of its own, if it must not affect others or is retried later.
 * @module
 */
import type { TakenFrame } from '../../infra/bus/index.ts'
import {
  frameOf,
  parseFrame,
  parseId64,
  type RawRecord,
  recordsOf,
  stampHeader,
} from '../../sdk/wire/frame.ts'

export interface AloneFrame extends TakenFrame {
  /** How often the record was tried. */
  readonly tried?: number
  /** True if it must not be retried. */
  readonly last?: boolean
}

/** The next record of a frame, in a frame of its own. */
export function aloneOf(frame: TakenFrame, tried: number): AloneFrame {
  const from = frame.skip + frame.finished
  const record = [...recordsOf(frame.bytes, frame.header)][from]!
  return { ...frameAlone(frame, record, frame.header.sequence + from), tried }
}

/** A copy of a record, in a frame of its own. */
export function frameAlone(frame: TakenFrame, record: RawRecord, sequence: number): AloneFrame {
  const { partition, header } = frame
  const bytes = frameOf([record])
  const [producer, origin] = [parseId64(header.producer), parseId64(header.origin)]
  const stamp = { flags: 0, partition, producer, origin, epoch: header.epoch }
  stampHeader(bytes, { ...stamp, count: 1, sequence })
  return { ...frame, bytes, header: parseFrame(bytes), skip: 0, finished: 0 }
}
