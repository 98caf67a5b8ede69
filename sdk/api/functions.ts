/**
 * Functions: their state, account, metrics and logs in the API, and the reasons for their placement.
 * @module
 */
import * as z from 'zod'
import { manifestSchema, nameSchema, placementSchema } from '../manifest/manifest.ts'
import { shadowViewSchema } from '../versions/shadow-schema.ts'
import { assetRefsSchema } from './assets.ts'
import { canarySchema } from './canary.ts'
import { deadLetterCountsSchema } from './dead-letters.ts'
import { instanceSchema } from './instances.ts'
import { movedPartitionSchema } from './moved.ts'
import { rollingSchema } from './rolling.ts'
import { streamSummarySchema } from './streams.ts'

export const ledgerSchema = z.object({
  stream: z.string(),
  sent: z.int(),
  processed: z.int(),
  dropped: z.record(z.string(), z.int()),
  inFlight: z.int(),
  /**
   * How long the oldest record in flight has waited since it was sent; 0: none is in flight. Absent: not known, as in mode
   * `none`.
   */
  lagMs: z.int().optional(),
  unaccounted: z.int(),
  /** `unaccounted` is an upper bound: part of it is the allowance of a killed producer; absent: it is exact. */
  unaccountedIsAtMost: z.literal(true).optional(),
  /**
   * Processed and unaccounted records whose effects on state were lost, because a runner was killed or a version with
   * `migrate` was rolled back.
   */
  stateLost: z.int().default(0),
  /** Records in flight that wait on disk (back-pressure `enqueue`); absent: none. */
  spilled: z.int().optional(),
  spilledBytes: z.number().optional(),
})
export type Ledger = z.output<typeof ledgerSchema>

/** A metric of the function's own; for `buckets` see sdk/wire/user-metrics.ts. */
const metricSchema = z.discriminatedUnion('kind', [
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

/** Why what processes have told may be out of date: the gateway hears none of them; absent: it hears. */
export const unheardSchema = z.string().optional()

/** Why what is to be stored waits, and why instances that wait for it may not be heard: JetStream does not answer the gateway; absent: it does. */
export const noJetStreamSchema = z.string().optional()

const remarkSchema = {
  /** Why nothing is placed, changed or restarted: no scheduler leads. Absent: one leads, or this gateway does not know. */
  noScheduler: z.string().optional(),
  /** The store does not answer this gateway, so what it shows may be out of date. Absent: it does. */
  noStore: z.string().optional(),
  unheard: unheardSchema,
  noJetStream: noJetStreamSchema,
}

/** A reader that holds a stream up, or will: it does not run, or works all the time and does not keep up. */
export const heldBackSchema = z.object({
  stream: z.string(),
  /** The functions between, of which each waits for the next: the first one reads the stream; absent: the reader does. */
  via: z.array(z.string()).optional(),
  /** A function; or, of a reader over HTTP that the stream waits for, `follower.ID`. */
  reader: z.string(),
  /** The stream on which records wait for the reader; absent: it is `stream`. */
  input: z.string().optional(),
  /** Of a function. */
  instancesRunning: z.int().optional(),
  instancesWanted: z.int().optional(),
  /** How many have worked nearly all the time lately; absent: not known. */
  instancesBusy: z.int().optional(),
  /** Of those that run, of how many nothing is heard: what they do is not known; absent: of none. */
  instancesUnheard: z.int().optional(),
  /** How many of its records wait, and for how long the oldest of them. */
  records: z.int(),
  lagMs: z.int().optional(),
  /** Over the last seconds; absent: not known. */
  sentPerSecond: z.number().optional(),
  donePerSecond: z.number().optional(),
  /** It has a queue of its own, so nobody waits for it. */
  queues: z.literal(true).optional(),
  /** `stuck`: records wait, and nobody is at work on them; absent: not all of it runs. */
  cause: z.enum(['slow', 'stuck']).optional(),
})
export type HeldBack = z.output<typeof heldBackSchema>

/** Why the instances of a function are on their agents, or do not run. */
export const whySchema = z.object({
  name: nameSchema,
  ...remarkSchema,
  /** The wanted version. */
  version: z.int(),
  /** The live version; absent before there is one. */
  live: z.int().optional(),
  instancesWanted: z.int(),
  instancesRunning: z.int(),
  /** Why it has more or fewer instances than its manifest says; absent: it does not, or has a scaling policy. */
  byHand: z.string().optional(),
  /** It fails, and a rollback would go to this version; absent: it does not, or there is none. */
  rollbackTo: z.int().optional(),
  /** Who holds back its inputs and outputs, or soon will; absent: nobody. */
  heldBackBy: z.array(heldBackSchema).optional(),
  placement: placementSchema,
  instances: z.array(
    z.object({
      id: z.string(),
      state: z.string(),
      agent: z.string().optional(),
      hostname: z.string().optional(),
      /** Sentences, the most informative first. */
      why: z.array(z.string()),
    }),
  ),
})
export type Why = z.output<typeof whySchema>

export const functionSummarySchema = z.object({
  name: nameSchema,
  /** The wanted version. */
  version: z.int(),
  /** The live version; absent before there is one. During a rollout, or beside a shadow, its outputs count. */
  live: z.int().optional(),
  /** The share of the keys that `version` has as a canary. */
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
  /** While a version takes over, those of the version before count too. */
  instancesRunning: z.int(),
  istreams: z.array(z.string()),
  ostreams: z.array(z.string()),
  /** In the list of functions: the longest lag of its inputs; absent: not known. */
  lagMs: z.int().optional(),
  /** These three as the instances reported them, present and past; what a killed one did after its last report is missing. */
  recordsIn: z.int(),
  recordsOut: z.int(),
  errors: z.int(),
})
export type FunctionSummary = z.output<typeof functionSummarySchema>

export const functionDetailSchema = functionSummarySchema.extend({
  ...remarkSchema,
  canary: canarySchema.optional(),
  shadow: shadowViewSchema.optional(),
  rolling: rollingSchema.optional(),
  manifest: manifestSchema,
  bundleSha256: z.string(),
  assets: assetRefsSchema.default({}),
  deployedAtMs: z.number(),
  /** Partitions moved by hand; absent: none. */
  homes: z.array(movedPartitionSchema).optional(),
  instances: z.array(instanceSchema),
  /** One row for each input stream (I7): sent = processed + dropped + inFlight + unaccounted. */
  ledger: z.array(ledgerSchema),
  /**
   * Gateways that have sent to it and were killed: their last records are counted once their receivers were asked, within some
   * ten seconds, or later while a receiver has some of them in hand.
   */
  settling: z.array(z.string()).optional(),
  /** Who holds back its inputs and outputs, or soon will; absent: nobody. */
  heldBackBy: z.array(heldBackSchema).optional(),
  /** Summed over the living instances, since the start of each. */
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
