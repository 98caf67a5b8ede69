/** What the host of an isolate needs of the runtime; the rest of it runs inside. */
export {
  Capture,
  dirtyPages,
  finishRestore,
  firstFormat,
  hasArena,
  isDirty,
  markAllDirty,
  markDirty,
  nextSlabBytes,
  PagedSlabs,
  pageBytes,
  restorePages,
  roomOf,
  type Slabs,
  shadowBytes,
  slabBytesDefault,
  slabUnitBytes,
} from './arena/index.ts'
export { lineOf } from './aside.ts'
export { type BatchFrame, type BatchSize, inputBytes, writeBatch } from './batch.ts'
export { type ConsoleLine, readConsole } from './console-ring.ts'
export type { BootConfig, OutputConfig } from './isolate-main.ts'
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
  reportBytesMax,
  verdict,
} from './layout.ts'
export { metricNamesBytes, readMetricName } from './metric-names.ts'
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
} from './outcome-entry.ts'
export {
  emptyOutcome,
  type Outcome,
  OutcomeReader,
  type OutcomeReport,
  type OutputFrame,
  type OutputShape,
} from './outcome-reader.ts'
export { type ReportFields, readFields } from './report.ts'
export { TimerAtHand, timerAtHandBytes } from './timer-at-hand.ts'
export type { Timer } from './timers.ts'
