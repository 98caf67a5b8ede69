/** The HTTP client: what an operator's program imports as `concord/client`. */
export { ConcordClient } from './client.ts'
export { type ClientErrorCode, clientErrors, RefusedError } from './errors.ts'
export { type FollowLine, type FollowOptions, isRecord } from './follow.ts'
export { linesOf } from './lines.ts'
export type { Abortable, ClientOptions, Deployment, LogOptions } from './options.ts'
export { type Produced, ProduceError, type ProduceOptions } from './produce.ts'
export type { ClientRecord } from './records.ts'
