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
 *   PATCH  /v1/functions/:name/partitions           which instance has partitions (homes.ts): MoveAnswer
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

import { z } from 'zod'
import {
  instancesSchema,
  manifestSchema,
  nameSchema,
  partitionsDefault,
  partitionsMax,
  placementSchema,
} from '../manifest/manifest.ts'
import { scaleSettingsSchema } from '../scaling/policy.ts'
import { gateReportSchema } from '../versions/gate.ts'
import { shadowViewSchema } from '../versions/shadow.ts'
import { assetRefsSchema } from './assets.ts'
import { canarySchema } from './canary.ts'
import { deadLetterCountsSchema } from './dead-letters.ts'
import { homeSchema } from './homes.ts'
import { memorySchema } from './memory.ts'
import { rollingSchema } from './rolling.ts'
import { versionStateSchema } from './version-state.ts'

/** RFC 9457, with our code and what to do. */
export const problemSchema = z.object({
  type: z.string(),
  title: z.string(),
  status: z.int(),
  detail: z.string(),
  code: z.string(),
  /** Where in the uploaded source, where known. */
  location: z.object({ file: z.string(), line: z.int(), column: z.int() }).optional(),
  /** Of a refused `POST …/records`: how many of its records, from the first, were taken and must not be sent again. */
  accepted: z.int().optional(),
  /** Of a deploy that its gate has held up: what was found. */
  gate: gateReportSchema.optional(),
})
export type Problem = z.output<typeof problemSchema>

/** What can be wanted of a function beside its manifest: so many instances, or as its policy says. */
export const scaleSchema = z.union([
  z.strictObject({ instances: instancesSchema }),
  z.strictObject({ auto: z.literal(true) }),
])

/** `pinned`: a person has said so, and the function's policy rests until `auto`. */
export const scaleAnswerSchema = z.object({
  instances: z.int(),
  pinned: z.boolean(),
  /** So many of them get no records: its inputs have no more partitions. */
  idle: z.int().optional(),
})
export type ScaleAnswer = z.output<typeof scaleAnswerSchema>

/** What was seen of a function's load at a time. */
export const loadSampleSchema = z.object({
  atMs: z.number(),
  instances: z.int(),
  demand: z.number(),
  backlog: z.number(),
  inFlight: z.number(),
  processed: z.number(),
  trueRate: z.number().optional(),
  busy: z.number(),
  cpu: z.number(),
  p99Ms: z.number().optional(),
  metric: z.object({ kind: z.enum(['count', 'observe']), value: z.number() }).optional(),
  timers: z.number(),
  predicted: z.number().optional(),
})

/** Why a function has as many instances as it has. */
export const scalingSchema = z.object({
  name: nameSchema,
  instancesWanted: z.int(),
  instancesRunning: z.int(),
  /** Absent: it has none, and has as many instances as was said. */
  policy: scaleSettingsSchema.optional(),
  pinned: z.boolean(),
  /** The latest changes by the policy, and by people, oldest first. */
  changes: z.array(z.object({ atMs: z.number(), from: z.int(), to: z.int(), because: z.string() })),
  /** What the scheduler has seen last, written every ten seconds; absent before the first look. */
  latest: z
    .object({ atMs: z.number(), instances: z.int(), because: z.string(), load: loadSampleSchema })
    .optional(),
})
export type Scaling = z.output<typeof scalingSchema>

export const streamConfigSchema = z.strictObject({
  partitions: z.int().min(1).max(partitionsMax).default(partitionsDefault),
  raw: z.boolean().default(false),
})
export type StreamConfig = z.output<typeof streamConfigSchema>

/** A record of `POST …/records` as NDJSON. `value` is text; `valueBase64` bytes; exactly one of them. */
export const recordInputSchema = z.strictObject({
  key: z.string().optional(),
  keyBase64: z.string().optional(),
  value: z.string().optional(),
  valueBase64: z.string().optional(),
  /** Where it goes, whatever its key (grouping `explicit`). */
  partition: z
    .int()
    .min(0)
    .max(partitionsMax - 1)
    .optional(),
  timeMs: z.int().optional(),
})
export type RecordInput = z.output<typeof recordInputSchema>

/** Answer of `POST …/records`: all were taken, in order. */
export const produceAnswerSchema = z.object({ accepted: z.int() })

/** A record as a follower sees it. `value` where it is UTF-8 text, else `valueBase64`; likewise the key. */
export const recordOutputSchema = z.object({
  stream: z.string(),
  partition: z.int(),
  producer: z.string(),
  sequence: z.int(),
  timeMs: z.int(),
  key: z.string().optional(),
  keyBase64: z.string().optional(),
  value: z.string().optional(),
  valueBase64: z.string().optional(),
})
export type RecordOutput = z.output<typeof recordOutputSchema>

/** First line of a followed stream, once every producer known is bound to it; then records; `gap` where some were missed. */
export const followEventSchema = z.union([
  z.object({
    event: z.literal('ready'),
    hold: z.boolean(),
    /** Who holds, to be named should the connection break (`instead`). */
    reader: z.string().optional(),
    /** It goes on for the one that it named: nothing was missed. */
    resumed: z.boolean().optional(),
  }),
  z.object({ event: z.literal('gap'), partition: z.int(), producer: z.string(), records: z.int() }),
])
export type FollowEvent = z.output<typeof followEventSchema>

export const ledgerSchema = z.object({
  stream: z.string(),
  sent: z.int(),
  processed: z.int(),
  dropped: z.record(z.string(), z.int()),
  inFlight: z.int(),
  unaccounted: z.int(),
  /** The unaccounted may be less: some of it was counted by what a killed producer was allowed to have out; absent: nothing. */
  unaccountedIsAtMost: z.literal(true).optional(),
  /** Of the processed and the unaccounted: records whose effects the state lacks, since a runner was killed. */
  stateLost: z.int().default(0),
  /** Of those in flight, what waits on disk (back-pressure `enqueue`); absent: nothing. */
  spilled: z.int().optional(),
  spilledBytes: z.number().optional(),
})
export type Ledger = z.output<typeof ledgerSchema>

/** What an instance has stored of its state. */
export const checkpointReportSchema = z.object({
  /** When the last one that is stored was cut, and how long it took from there; absent before the first. */
  atMs: z.number().optional(),
  tookMs: z.number().optional(),
  /** What is kept, and what the last one added to it. */
  storedBytes: z.number(),
  writtenBytes: z.number(),
  writtenBytesTotal: z.number(),
  /** How long the instance stopped for the last one, and at most. */
  pauseMs: z.number(),
  pauseMaxMs: z.number(),
  made: z.int(),
  failed: z.int(),
  /** Why the last one failed. */
  error: z.string().optional(),
})

/** What a function has counted or observed under a name of its own; `buckets`: sdk/wire/user-metrics.ts. */
export const metricSchema = z.discriminatedUnion('kind', [
  z.object({ name: z.string(), kind: z.literal('count'), sum: z.number() }),
  z.object({
    name: z.string(),
    kind: z.literal('observe'),
    count: z.int(),
    sum: z.number(),
    min: z.number(),
    max: z.number(),
    buckets: z.array(z.tuple([z.int(), z.int()]).readonly()).readonly(),
  }),
])

/** Another version takes over in an instance. */
export const swapSchema = z.object({
  version: z.int(),
  /** `failed`: the version before is at work; `reason` says why. */
  state: z.enum(['preparing', 'onTrial', 'failed']),
  reason: z.string().optional(),
  /** Of one on trial: records and timers that went through it so far. */
  records: z.int().optional(),
})

export const instanceSchema = z.object({
  id: z.string(),
  index: z.int(),
  version: z.int(),
  state: z.string(),
  epoch: z.int(),
  taskId: z.string().optional(),
  agent: z.string().optional(),
  hostname: z.string().optional(),
  restarts: z.int(),
  /** Why it is not running. */
  why: z.string().optional(),
  /** Why it is where it is. */
  placed: z.string().optional(),
  /** Which partitions of each input that is not broadcast it has; absent if none. */
  partitions: z.array(z.int()).optional(),
  /** Absent unless one is under way, or has failed. */
  swap: swapSchema.optional(),
  /** For how long the last change of versions stopped it. */
  swapPauseMs: z.number().optional(),
  /** The version that has passed its trial here last, and what went through it meanwhile. */
  tried: z.object({ version: z.int(), records: z.int() }).optional(),
  lastExit: z
    .object({ code: z.int().optional(), reason: z.string(), message: z.string(), atMs: z.number() })
    .optional(),
  pid: z.int().optional(),
  /** Of its runner, which may hold other instances too. */
  rssBytes: z.number().optional(),
  memory: memorySchema.optional(),
  /** Prometheus text of its runner, on the runner's own loopback. */
  metricsUrl: z.string().optional(),
  heapBytes: z.number().optional(),
  recordsIn: z.int(),
  recordsOut: z.int(),
  errors: z.int(),
  /** Calls of callbacks that were not the first for their record or timer. */
  retries: z.int().default(0),
  /** Timers that were given up since its start, by reason: `skipped`, `deadLettered`, `deadLetterRefused`, `failed`. */
  timersDropped: z.record(z.string(), z.int()).default({}),
  stateEntries: z.int(),
  /** Partitions whose state has something left in the format of an earlier version. */
  migrating: z.int().optional(),
  /** How long it was held back by `limits.cpuMsPerSecond`. */
  throttledMs: z.number().default(0),
  /** Records that wait to be tried again. */
  setAside: z.int().default(0),
  /** Absent where the function wants no checkpoints. */
  checkpoint: checkpointReportSchema.optional(),
  lastError: z
    .object({
      name: z.string(),
      message: z.string(),
      stack: z.string(),
      at: z.string().optional(),
      /** What it was called for, if that was a timer. */
      timer: z.object({ partition: z.int(), key: z.string(), timeMs: z.number() }).optional(),
      timeMs: z.number(),
    })
    .optional(),
})
export type Instance = z.output<typeof instanceSchema>

/** Why the instances of a function are where they are, or not at work. */
export const whySchema = z.object({
  name: nameSchema,
  version: z.int(),
  instancesWanted: z.int(),
  instancesRunning: z.int(),
  /** Why it is to have more or fewer instances than its manifest says; absent: it is not, or scales by itself. */
  byHand: z.string().optional(),
  placement: placementSchema,
  instances: z.array(
    z.object({
      id: z.string(),
      state: z.string(),
      agent: z.string().optional(),
      hostname: z.string().optional(),
      /** Sentences, the most telling first. */
      why: z.array(z.string()),
    }),
  ),
})
export type Why = z.output<typeof whySchema>

export const functionSummarySchema = z.object({
  name: nameSchema,
  /** The version that is wanted. */
  version: z.int(),
  /** The one that was seen to work last; absent before any was. While another one is on its way, or beside it, this one answers. */
  live: z.int().optional(),
  /** What `version` has of the keys as a canary. */
  canaryPercent: z.number().optional(),
  state: z.enum([
    'running',
    'starting',
    'swapping',
    'canary',
    'shadow',
    'rolling',
    'degraded',
    'stopped',
    'crashLooping',
    'waiting',
    'deleting',
  ]),
  instancesWanted: z.int(),
  instancesRunning: z.int(),
  istreams: z.array(z.string()),
  ostreams: z.array(z.string()),
  recordsIn: z.int(),
  recordsOut: z.int(),
  errors: z.int(),
})
export type FunctionSummary = z.output<typeof functionSummarySchema>

export const functionDetailSchema = functionSummarySchema.extend({
  canary: canarySchema.optional(),
  shadow: shadowViewSchema.optional(),
  rolling: rollingSchema.optional(),
  manifest: manifestSchema,
  bundleSha256: z.string(),
  assets: assetRefsSchema.default({}),
  deployedAtMs: z.number(),
  /** Partitions that a person has moved; absent if none. */
  homes: z.array(homeSchema).optional(),
  instances: z.array(instanceSchema),
  /** One row for each input stream (I7): sent = processed + dropped + inFlight + unaccounted. */
  ledger: z.array(ledgerSchema),
  /** Gateways that ended without a word: what they sent last follows when their receivers were asked, within some ten seconds. */
  settling: z.array(z.string()).optional(),
  /** Summed over the instances that live, since the start of each. */
  metrics: z.array(metricSchema).default([]),
  /** The latest of these starts; absent: nothing was counted. */
  metricsSinceMs: z.number().optional(),
  /** Absent while JetStream does not answer. */
  deadLetters: deadLetterCountsSchema.optional(),
})
export type FunctionDetail = z.output<typeof functionDetailSchema>

export { type DeployAnswer, deployAnswerSchema, deployQuerySchema } from './deploy.ts'

export const changeSchema = z.object({ path: z.string(), before: z.unknown(), after: z.unknown() }).partial({
  before: true,
  after: true,
})

const bundleSchema = z.object({ version: z.int(), bundleSha256: z.string(), bundleBytes: z.int() })

export const versionSummarySchema = bundleSchema.extend({
  deployedAtMs: z.number(),
  author: z.string().optional(),
  message: z.string().optional(),
  state: versionStateSchema,
  outcomeAtMs: z.number().optional(),
  reason: z.string().optional(),
  /** Nothing came while it was on trial. */
  untried: z.literal(true).optional(),
  /** Who went back from it. */
  by: z.string().optional(),
  /** It had failed before it came to what `state` says. */
  failed: z.object({ atMs: z.number(), reason: z.string().optional() }).optional(),
  /** What its manifest says otherwise than that of the version before. */
  changes: z.array(changeSchema),
  assets: assetRefsSchema.default({}),
})
export type VersionSummary = z.output<typeof versionSummarySchema>

export const versionDetailSchema = versionSummarySchema.extend({ manifest: manifestSchema })
export type VersionDetail = z.output<typeof versionDetailSchema>

export const versionDiffSchema = z.object({
  name: nameSchema,
  from: bundleSchema,
  to: bundleSchema,
  sameCode: z.boolean(),
  manifest: z.array(changeSchema),
  /** By name. */
  assets: z.array(changeSchema).default([]),
})
export type VersionDiff = z.output<typeof versionDiffSchema>

export { rollbackSchema } from './deploy.ts'

export const logLineSchema = z.object({
  timeMs: z.number(),
  level: z.enum(['debug', 'info', 'warn', 'error']),
  function: z.string(),
  version: z.int(),
  instance: z.string(),
  message: z.string(),
})
export type LogLine = z.output<typeof logLineSchema>

export const streamSummarySchema = z.object({
  name: nameSchema,
  partitions: z.int(),
  raw: z.boolean(),
  producers: z.array(z.string()),
  consumers: z.array(z.string()),
})
export type StreamSummary = z.output<typeof streamSummarySchema>

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

export const topologySchema = z.object({
  functions: z.array(functionSummarySchema),
  streams: z.array(streamSummarySchema),
})
export type Topology = z.output<typeof topologySchema>
