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
 *   GET    /v1/functions/:name/logs?follow&tail     NDJSON of LogLine
 *   DELETE /v1/instances/:id?restart                kill one instance
 *   GET    /v1/streams                              { streams: StreamSummary[] }
 *   PUT    /v1/streams/:name                        StreamConfig
 *   POST   /v1/streams/:name/records                NDJSON of RecordInput, or length-prefixed bytes
 *   GET    /v1/streams/:name/records?hold           NDJSON or SSE of RecordOutput
 *   GET    /v1/topology                             Topology
 * @module
 */
import { z } from 'zod'
import { manifestSchema, nameSchema, partitionsDefault, partitionsMax } from './manifest.ts'

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
})
export type Problem = z.output<typeof problemSchema>

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
  z.object({ event: z.literal('ready'), hold: z.boolean() }),
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
})
export type Ledger = z.output<typeof ledgerSchema>

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
  why: z.string().optional(),
  lastExit: z
    .object({ code: z.int().optional(), reason: z.string(), message: z.string(), atMs: z.number() })
    .optional(),
  pid: z.int().optional(),
  rssBytes: z.number().optional(),
  /** Prometheus text of its runner, on the runner's own loopback. */
  metricsUrl: z.string().optional(),
  heapBytes: z.number().optional(),
  recordsIn: z.int(),
  recordsOut: z.int(),
  errors: z.int(),
  stateEntries: z.int(),
  lastError: z
    .object({
      name: z.string(),
      message: z.string(),
      stack: z.string(),
      at: z.string().optional(),
      timeMs: z.number(),
    })
    .optional(),
})
export type Instance = z.output<typeof instanceSchema>

export const functionSummarySchema = z.object({
  name: nameSchema,
  version: z.int(),
  state: z.enum(['running', 'starting', 'degraded', 'stopped', 'crashLooping', 'waiting', 'deleting']),
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
  manifest: manifestSchema,
  bundleSha256: z.string(),
  deployedAtMs: z.number(),
  instances: z.array(instanceSchema),
  /** One row for each input stream (I7): sent = processed + dropped + inFlight + unaccounted. */
  ledger: z.array(ledgerSchema),
})
export type FunctionDetail = z.output<typeof functionDetailSchema>

/** Answer of a deploy. */
export const deployAnswerSchema = z.object({
  name: nameSchema,
  version: z.int(),
  bundleSha256: z.string(),
  /** False if the very same bundle and manifest were live already. */
  changed: z.boolean(),
})
export type DeployAnswer = z.output<typeof deployAnswerSchema>

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

export const topologySchema = z.object({
  functions: z.array(functionSummarySchema),
  streams: z.array(streamSummarySchema),
})
export type Topology = z.output<typeof topologySchema>
