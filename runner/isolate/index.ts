export type { ResidentMemory } from './calls/memory-guard.ts'
export type { TimerCalls } from './calls/timer-calls.ts'
export { type IsolateErrorCode, isolateError, isStarved, starvedAttemptsMax } from './errors.ts'
export { runtimeBundle, runtimeText, takeRuntimeText } from './guest/runtime-bundle.ts'
export type { Isolate } from './isolate.ts'
export { isolateMemory } from './memory/isolate-memory.ts'
export { outputTable } from './outcome/output-table.ts'
export { isRegrouped, outputsOf, tableOf } from './outcome/outputs.ts'
export { behind, Results } from './outcome/results.ts'
export { timerWords, timeText } from './report/at-hand.ts'
export { inOneLine } from './report/failure.ts'
export { SingleIsolate } from './single-isolate.ts'
export { listState } from './state/list-state.ts'
export { readState } from './state/read-state.ts'
export { StateStore } from './state/state-store.ts'
export type {
  BatchResult,
  HeldAssets,
  InputFrame,
  IsolateOptions,
  IsolateStats,
  Outputs,
  RecordFailure,
  RunOptions,
} from './types.ts'
