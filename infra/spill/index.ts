/** The front door of the spill: records that wait on disk. */
export { ensureSpillStream, Orphans, type SpilledChunk } from './orphans.ts'
export { SpillStore, type SpillStoreOptions } from './spill-store.ts'
