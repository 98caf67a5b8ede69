/**
 * Load: reads a checkpoint part by part, and checks that it is complete.
 * @module
 */
import { infraError } from '../errors.ts'
import type { Checkpoint, SegmentInfo } from './manifest.ts'
import { decodePart, joinCrc } from './part.ts'
import type { CheckpointStore } from './store.ts'

/** Parts requested at once: a round trip takes longer than sending a part. */
const partsAhead = 8

/** A segment as it was read. */
export interface LoadedSegment {
  readonly info: SegmentInfo
  /** Of its parts, for `CheckpointStore.remove`. */
  readonly sequences: readonly number[]
}

/**
 * Reads all segments in order, and gives their pages to `take` in order: what comes later wins.
 * @throws {CodedError} ERR_CHECKPOINT_CORRUPT if a part is missing, torn or another one; ERR_CHECKPOINT_STORE.
 */
export async function loadCheckpoint(
  store: CheckpointStore,
  slot: string,
  checkpoint: Checkpoint,
  take: (segment: number, pages: Uint32Array, bytes: Uint8Array) => void,
): Promise<LoadedSegment[]> {
  const loaded: LoadedSegment[] = []
  for (const [index, info] of checkpoint.segments.entries()) {
    const sequences: number[] = []
    let crc = 0
    let pageCount = 0
    for await (const { message, sequence } of parts(store, slot, info)) {
      const part = decodePart(message, info, sequences.length)
      sequences.push(sequence)
      crc = joinCrc(crc, part.crc)
      pageCount += part.pages.length
      take(index, part.pages, part.bytes)
    }
    if (crc !== info.crc || pageCount !== info.pages)
      throw infraError(
        'ERR_CHECKPOINT_CORRUPT',
        `Cannot read segment ${info.epoch}-${info.number} of the checkpoint of ${slot}: its parts are not those that it was written with`,
      )
    loaded.push({ info, sequences })
  }
  return loaded
}

async function* parts(store: CheckpointStore, slot: string, info: SegmentInfo) {
  const asked = []
  for (let next = 0; next < info.parts || asked.length > 0; ) {
    while (next < info.parts && asked.length < partsAhead) {
      const part = store.getPart(slot, info, next++)
      part.catch(() => undefined) // it is thrown when its turn has come
      asked.push(part)
    }
    const found = await asked.shift()
    if (found === undefined)
      throw infraError(
        'ERR_CHECKPOINT_CORRUPT',
        `Cannot read part ${next - asked.length - 1} of segment ${info.epoch}-${info.number} of the checkpoint of ${slot}: it is missing`,
      )
    yield found
  }
}
