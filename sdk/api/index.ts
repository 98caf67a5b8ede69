/**
 * The shapes of the HTTP API. The gateway validates requests and generates its documentation with them, and the client
 * uses them as types. docs/reference/api.md lists the routes; it is made from the gateway's definitions.
 *
 * All routes except /healthz, /readyz and /v1/openapi.json need `Authorization: Bearer TOKEN`. Errors are RFC 9457
 * problem+json with `code` (problem.ts).
 * @module
 */

export {
  type DeadLetter,
  type DeadLetterCounts,
  type DeadLetterFilter,
  type DeadLetterList,
  type DeadLetterListQuery,
  type DeadLetterSummary,
  deadLetterListQuerySchema,
  deadLetterListSchema,
  deadLetterSchema,
  type RedriveAnswer,
  type RedriveRequest,
  type RemoveLettersAnswer,
  type RemoveLettersRequest,
  redriveAnswerSchema,
  redriveRequestSchema,
  removeLettersAnswerSchema,
  removeLettersRequestSchema,
} from './dead-letters.ts'
export {
  type DeployAnswer,
  type DeploySettings,
  deployAnswerSchema,
  deployQuerySchema,
  rollbackSchema,
  type Size,
  sizes,
} from './deploy.ts'
export { flagQuery } from './flag.ts'
export {
  type FunctionDetail,
  type FunctionSummary,
  functionDetailSchema,
  functionSummarySchema,
  type HeldBack,
  type Ledger,
  type LogLine,
  logLineSchema,
  type Topology,
  topologySchema,
  type Why,
  whySchema,
} from './functions.ts'
export type { Instance } from './instances.ts'
export { type Problem, problemSchema } from './problem.ts'
export { type ScaleAnswer, type Scaling, scaleAnswerSchema, scaleSchema, scalingSchema } from './scaling.ts'
export {
  type FollowEvent,
  followEventSchema,
  produceAnswerSchema,
  type RecordInput,
  type RecordOutput,
  recordInputSchema,
  recordOutputSchema,
  type StreamConfig,
  type StreamPut,
  type StreamSummary,
  streamConfigSchema,
  streamPutSchema,
  streamSummarySchema,
} from './streams.ts'
export {
  type VersionDetail,
  type VersionDiff,
  type VersionSummary,
  versionDetailSchema,
  versionDiffSchema,
  versionSummarySchema,
} from './versions.ts'
