/** The HTTP client: what an operator's program imports as `concord/client`. */
export {
  type Abortable,
  type ClientOptions,
  ConcordClient,
  type Deployment,
  type LogOptions,
} from './client.ts'
export { type ClientErrorCode, clientErrors, RefusedError } from './errors.ts'
export { type FollowLine, type FollowOptions, isRecord } from './follow.ts'
export { linesOf } from './lines.ts'
export { type Produced, ProduceError, type ProduceOptions } from './produce.ts'
export type { ClientRecord } from './records.ts'
