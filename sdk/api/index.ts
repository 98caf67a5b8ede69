/**
 * The shapes of the HTTP API, shared by gateway (which validates and documents with them) and client.
 *
 * Routes (all but the first three need `Authorization: Bearer TOKEN`; errors are RFC 9457 problem+json with `code`):
 *   GET    /healthz  /readyz  /v1/openapi.json
 *   GET    /metrics                                 Prometheus text
 *   POST   /v1/functions                            deploy: multipart (manifest, bundle, sourceMap), or one source file as the body
 *   GET    /v1/functions                            { functions: FunctionSummary[] }
 *   GET    /v1/functions/:name                      FunctionDetail
 *   DELETE /v1/functions/:name
 *   GET    /v1/functions/:name/why                  Why
 *   PUT    /v1/functions/:name/instances            how many instances: ScaleAnswer
 *   GET    /v1/functions/:name/scaling              Scaling
 *   PATCH  /v1/functions/:name/partitions           which instance has partitions (moved.ts): MoveAnswer
 *   GET    /v1/functions/:name/versions             { versions: VersionSummary[] }, and …/versions/:version VersionDetail
 *   GET    /v1/functions/:name/diff?from&to         VersionDiff
 *   POST   /v1/functions/:name/rollback             back to an earlier version: DeployAnswer
 *   GET    /v1/functions/:name/assets               AssetList
 *   PATCH  /v1/functions/:name/assets               AssetPatch: a version with other assets: DeployAnswer
 *   GET    /v1/assets/:sha256                       whether its bytes are there: AssetRef; PUT sends them
 *   GET    /v1/functions/:name/logs?follow&tail     NDJSON of LogLine
 *   DELETE /v1/instances/:id?restart                kill one instance
 *   GET    /v1/streams                              { streams: StreamSummary[] }
 *   PUT    /v1/streams/:name                        StreamConfig
 *   POST   /v1/streams/:name/records                NDJSON of RecordInput, or length-prefixed bytes
 *   GET    /v1/streams/:name/records?hold           NDJSON or SSE of RecordOutput
 *   GET    /v1/dead-letters?function&error&key…     DeadLetterList
 *   GET    /v1/dead-letters/:id                     DeadLetter
 *   POST   /v1/dead-letters/redrive                 RedriveRequest → RedriveAnswer
 *   GET    /v1/topology                             Topology
 * @module
 */

export {
  type DeadLetter,
  type DeadLetterCounts,
  type DeadLetterFilter,
  type DeadLetterList,
  type DeadLetterListQuery,
  type DeadLetterSummary,
  deadLetterCountsSchema,
  deadLetterListQuerySchema,
  deadLetterListSchema,
  deadLetterSchema,
  deadLetterSummarySchema,
  type RedriveAnswer,
  type RedriveRequest,
  redriveAnswerSchema,
  redriveRequestSchema,
} from './dead-letters.ts'
export { type DeployAnswer, deployAnswerSchema, deployQuerySchema, rollbackSchema } from './deploy.ts'
export {
  type FunctionDetail,
  type FunctionSummary,
  functionDetailSchema,
  functionSummarySchema,
  type Ledger,
  type LogLine,
  ledgerSchema,
  logLineSchema,
  metricSchema,
  type Topology,
  topologySchema,
  type Why,
  whySchema,
} from './functions.ts'
export { checkpointReportSchema, type Instance, instanceSchema, swapSchema } from './instances.ts'
export { type Problem, problemSchema } from './problem.ts'
export {
  loadSampleSchema,
  type ScaleAnswer,
  type Scaling,
  scaleAnswerSchema,
  scaleSchema,
  scalingSchema,
} from './scaling.ts'
export {
  type FollowEvent,
  followEventSchema,
  produceAnswerSchema,
  type RecordInput,
  type RecordOutput,
  recordInputSchema,
  recordOutputSchema,
  type StreamConfig,
  type StreamSummary,
  streamConfigSchema,
  streamSummarySchema,
} from './streams.ts'
export {
  changeSchema,
  type VersionDetail,
  type VersionDiff,
  type VersionSummary,
  versionDetailSchema,
  versionDiffSchema,
  versionSummarySchema,
} from './versions.ts'
