/** The front door of the checkpoint store. */
export { SegmentBook } from './book.ts'
export { type LoadedSegment, loadCheckpoint } from './load.ts'
export type { Checkpoint, CheckpointManifest, Position, SegmentInfo, TriedTimer } from './manifest.ts'
export { openSchema } from './manifest.ts'
export { claimState, namespacesOfOthers } from './mark.ts'
export { encodePart, joinCrc, partPageBytes, partPagesMax, type SegmentId } from './part.ts'
export {
  type CheckpointStore,
  ensureCheckpointStream,
  functionsWithCheckpoints,
  openCheckpoints,
  removeCheckpoints,
  type StoredManifest,
} from './store.ts'
