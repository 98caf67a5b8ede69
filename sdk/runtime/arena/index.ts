/** The door of the room: state outside the heap. */
export { Arena, type ArenaOptions } from './arena.ts'
export type { ArenaTimer } from './arena-timers.ts'
export { Capture, dirtyPages, hasArena, isDirty, markAllDirty, markDirty, usedSlabs } from './capture.ts'
export { faultsOf } from './check.ts'
export { type Part, partKind } from './entry.ts'
export { type ArenaErrorCode, arenaErrors } from './errors.ts'
export { type FormatUse, firstFormat, type OldEntry } from './formats.ts'
export { Memory } from './memory.ts'
export { openArena } from './open-arena.ts'
export { finishRestore, PagedSlabs, restorePages } from './paged-slabs.ts'
export { type PageKeeper, pageBytes } from './pages.ts'
export { isEmpty, isMade, roomOf, slabsUsed } from './room.ts'
export { Shadow, shadowBytes } from './shadow.ts'
export {
  nextSlabBytes,
  OwnSlabs,
  type OwnSlabsOptions,
  type Slabs,
  slabBytesDefault,
  slabUnitBytes,
} from './slabs.ts'
