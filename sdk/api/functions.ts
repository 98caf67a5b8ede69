/**
 * Functions: what the API shows of them: state, account, metrics, logs, and why they are where they are.
 * @module
 */
import { z } from 'zod'
import { manifestSchema, nameSchema, placementSchema } from '../manifest/manifest.ts'
import { shadowViewSchema } from '../versions/shadow.ts'
import { assetRefsSchema } from './assets.ts'
import { canarySchema } from './canary.ts'
import { deadLetterCountsSchema } from './dead-letters.ts'
import { homeSchema } from './homes.ts'
import { instanceSchema } from './instances.ts'
import { rollingSchema } from './rolling.ts'
import { streamSummarySchema } from './streams.ts'

export const ledgerSchema = z.object({
  stream: z.string(),
  sent: z.int(),
  processed: z.int(),
  dropped: z.record(z.string(), z.int()),
  inFlight: z.int(),
  unaccounted: z.int(),
  /** The unaccounted may be less: some of it was counted by what a killed producer was allowed to have out; absent: nothing. */
  unaccountedIsAtMost: z.literal(true).optional(),
  /** Of the processed and the unaccounted: records whose effects the state lacks, since a runner was killed or a version with `migrate` has gone. */
  stateLost: z.int().default(0),
  /** Of those in flight, what waits on disk (back-pressure `enqueue`); absent: nothing. */
  spilled: z.int().optional(),
  spilledBytes: z.number().optional(),
})
export type Ledger = z.output<typeof ledgerSchema>

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

export const logLineSchema = z.object({
  timeMs: z.number(),
  level: z.enum(['debug', 'info', 'warn', 'error']),
  function: z.string(),
  version: z.int(),
  instance: z.string(),
  message: z.string(),
})
export type LogLine = z.output<typeof logLineSchema>

export const topologySchema = z.object({
  functions: z.array(functionSummarySchema),
  streams: z.array(streamSummarySchema),
})
export type Topology = z.output<typeof topologySchema>
