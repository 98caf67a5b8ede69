/**
 * Cut: the contents of a checkpoint, and how the pages of one slot are stored.
 *
 *   CU1. One part is made per turn of the event loop, from the turn after the cut on, so the instance works in between.
 * Design: docs/design/0008-checkpoints.md
 * @module
 */
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { StatePositions } from '../../infra/bus/index.ts'
import {
  type Checkpoint,
  type CheckpointStore,
  encodePart,
  joinCrc,
  partPageBytes,
  partPagesMax,
} from '../../infra/checkpoints/index.ts'
import type { Capture, Slabs } from '../../sdk/runtime/index.ts'
import type { Slot } from './slot.ts'
import type { PagedSegment } from './stored-pages.ts'
import type { TokenBucket } from './token-bucket.ts'

/** Parts sent ahead of the answers. */
const partsAhead = 4

/** The contents of a cut. */
export interface CutSource {
  readonly arenas: Iterable<readonly [number, Slabs]>
  readonly shadow: SharedArrayBuffer
  readonly positions: (stream: string, partition: number) => StatePositions
  /** Resolves when a manifest may say that these records are done. @throws why the cut must be given up */
  readonly settled: Promise<void>
  /** When the instance stopped for it; default: now. */
  readonly startMs?: number
  /** Include held slots. */
  readonly whole?: boolean
  /** Nothing will be processed afterwards. */
  readonly clean?: boolean
  /** The commit word of an isolate that was ended. */
  readonly commitWord?: number
}

export interface CutSlot {
  readonly slot: Slot
  readonly slabs: Slabs | undefined
  readonly made: Omit<Checkpoint, 'segments'>
}

/** Where and how fast parts are stored. */
export interface Shipment {
  readonly store: CheckpointStore
  readonly budget: TokenBucket
}

/** Stores the pages of one slot's arena, some parts ahead of the answers. */
export async function shipSlot(
  { slot, made }: CutSlot,
  capture: Capture,
  { store, budget }: Shipment,
): Promise<{ readonly segment: PagedSegment | undefined; readonly written: number }> {
  const id = { epoch: made.epoch, number: made.number }
  const pages: Uint32Array[] = []
  const answers: Promise<number>[] = []
  const sequences: number[] = []
  let crc = 0
  let written = 0
  const bytes = new Uint8Array(partPagesMax * partPageBytes)
  for (;;) {
    await nextTurn()
    const numbers = new Uint32Array(partPagesMax)
    const count = capture.read(slot.partition, numbers, bytes)
    if (capture.overflown) throw new Error('more pages changed at once than there is room for')
    if (count === 0) break
    const list = numbers.subarray(0, count)
    const part = encodePart({ segment: id, index: pages.length, pages: list, bytes })
    crc = joinCrc(crc, part.crc)
    written += part.message.length
    await budget.take(part.message.length)
    const answer = store.putPart(slot.name, id, pages.length, part.message)
    answer.catch(() => undefined) // awaited later
    answers.push(answer)
    pages.push(list)
    while (answers.length >= partsAhead) sequences.push(await answers.shift()!)
  }
  for (const answer of answers) sequences.push(await answer)
  if (pages.length === 0) return { segment: undefined, written }
  const count = pages.reduce((sum, list) => sum + list.length, 0)
  const info = { ...id, parts: pages.length, pages: count, crc }
  return { segment: { segment: { info, sequences }, pages }, written }
}

export function sizesOf(slabs: Slabs): number[] {
  return Array.from({ length: slabs.count }, (_, index) => slabs.get(index).byteLength)
}

/** Whether a checkpoint without pages would say nothing new, not even newer positions. */
export function isSame(made: Omit<Checkpoint, 'segments'>, before: Checkpoint | undefined): boolean {
  return (
    before !== undefined &&
    before.clean === made.clean &&
    before.epoch === made.epoch &&
    JSON.stringify([before.inputs, before.slabs]) === JSON.stringify([made.inputs, made.slabs])
  )
}
