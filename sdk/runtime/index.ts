/** The front door of the runtime for the host of an isolate; the rest runs inside. */
export {
  ArenaReader,
  Capture,
  dirtyPages,
  finishRestore,
  firstFormat,
  hasArena,
  isDirty,
  isEmpty,
  isMade,
  type ListedEntry,
  markAllDirty,
  markDirty,
  nextSlabBytes,
  PagedSlabs,
  pageBytes,
  partKind,
  placesMax,
  restorePages,
  roomOf,
  type Slabs,
  type StoredEntry,
  shadowBytes,
  shadowBytesUsed,
  slabBytesDefault,
  slabsUsed,
  slabUnitBytes,
  usedSlabs,
} from './arena/index.ts'
export type { BootConfig, OutputConfig } from './isolate-main.ts'
export {
  entryWords,
  kindOf,
  metricOf,
  metricValue,
  outputBytes,
  outputTimeMs,
  partitionOf,
  reportParts,
  reportText,
  streamOf,
  verdictIn,
} from './outcome/outcome-entry.ts'
export {
  emptyOutcome,
  type Outcome,
  OutcomeReader,
  type OutcomeReport,
  type OutputFrame,
  type OutputShape,
} from './outcome/outcome-reader.ts'
export { isStackless, readFields } from './outcome/report.ts'
export { lineOf } from './records/aside.ts'
export { AsideList, type Waiting } from './records/aside-list.ts'
export { type BatchFrame, type BatchSize, inputBytes, writeBatch } from './shared/batch.ts'
export { type ConsoleLine, readConsole } from './shared/console-ring.ts'
export {
  consoleBytes,
  control,
  controlBytes,
  controlFloats,
  entryKind,
  type LogLevel,
  outcomeBytes,
  phase,
  type Reaction,
  verdict,
} from './shared/layout.ts'
export { metricNamesBytes, readMetricName } from './shared/metric-names.ts'
export { type Timer, TimerAtHand, timerAtHandBytes } from './shared/timer-at-hand.ts'
