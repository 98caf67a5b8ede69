export { type IsolateErrorCode, isolateErrors } from './errors.ts'
export { inOneLine } from './failure.ts'
export { Instance } from './instance.ts'
export type { Isolate } from './isolate.ts'
export { isolateMemory } from './isolate-memory.ts'
export type { ResidentMemory } from './memory-guard.ts'
export { outputTable } from './output-table.ts'
export { runtimeBundle, runtimeText, takeRuntimeText } from './runtime-bundle.ts'
export { type AddedSlab, StateStore } from './state-store.ts'
export type { TimerCalls } from './timer-calls.ts'
export type {
  BatchResult,
  HeldAssets,
  InputFrame,
  InstanceOptions,
  InstanceStats,
  Outputs,
  RecordFailure,
} from './types.ts'
