export { parseAttributes } from './attributes.ts'
export type {
  Call,
  CallType,
  CommandInfo,
  FrameworkInfo,
  Id,
  Operation,
  TaskInfo,
  TaskState,
  TaskStatus,
  Uri,
} from './messages.ts'
export { isTerminal } from './messages.ts'
export { BadCall, type CheckedCall, readCall } from './read-call.ts'
export {
  add,
  contains,
  format,
  fromWire,
  type Range,
  type Resources,
  resources,
  scalar,
  subtract,
  sum,
  toWire,
} from './resources.ts'
export { frameworkFault, has, rolesOf } from './roles.ts'
