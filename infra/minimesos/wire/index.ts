export { parseAttributes } from './attributes.ts'
export type {
  Call,
  CommandInfo,
  FrameworkInfo,
  Id,
  Operation,
  ResourceInfo,
  TaskInfo,
  TaskState,
  TaskStatus,
  Uri,
} from './messages.ts'
export { isTerminal } from './messages.ts'
export { BadCall, type CheckedCall, readCall, readOperatorCall } from './read-call.ts'
export { isDynamic, nameOf, original, reservationsIn, underlying } from './reservations.ts'
export { parseReserved } from './reserved.ts'
export {
  type Amount,
  add,
  availableTo,
  contains,
  format,
  fromWire,
  type Range,
  type Resources,
  rekey,
  reservedByRole,
  resources,
  scalar,
  subtract,
  sum,
  toWire,
} from './resources.ts'
export { frameworkFault, has, rolesOf } from './roles.ts'
