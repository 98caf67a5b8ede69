/** The front door of the sdk: what the author of a function imports as `concord`. */
export { CodedError, isCode } from './errors.ts'
export {
  broadcast,
  defineFunction,
  explicit,
  groupBy,
  local,
  roundRobin,
  shuffle,
  type BackPressure,
  type Context,
  type Data,
  type ErrorPolicy,
  type FunctionDefinition,
  type Grouping,
  type InputOptions,
  type LifecycleContext,
  type Metadata,
  type ProduceOptions,
  type State,
  type StreamRecord,
} from './function.ts'
