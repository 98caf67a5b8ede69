export { type IsolateErrorCode, isolateErrors } from './errors.ts'
export {
  type BatchResult,
  type InputFrame,
  Instance,
  type InstanceOptions,
  type InstanceStats,
  type Outputs,
  type RecordFailure,
} from './instance.ts'
export { runtimeBundle } from './runtime-bundle.ts'
