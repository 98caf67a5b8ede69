/** The front door of the spill: records that wait on disk. */
export { ensureSpillStream, Orphans, spilledFor } from './orphans.ts'
export { SpillStore } from './spill-store.ts'
