/** The front door of the sdk: what the author of a function imports as `concord`. */
export { CodedError, isCode } from './errors.ts'
export {
  type BackPressure,
  broadcast,
  type Context,
  type Data,
  defineFunction,
  type ErrorPolicy,
  explicit,
  type FunctionDefinition,
  type Grouping,
  groupBy,
  type InputOptions,
  type LifecycleContext,
  local,
  type Metadata,
  type ProduceOptions,
  roundRobin,
  type State,
  type StreamRecord,
  shuffle,
} from './function.ts'
