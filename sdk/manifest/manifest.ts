/**
 * Manifest: what is deployed beside the code, and the only description of a function that the platform keeps.
 *
 * Made from the code's `metadata` and the author's `concord.jsonc`; stored with each version and never changed.
 * `schema` is the version of this shape: a reader refuses a higher one.
 * @module
 */

import { z } from 'zod'
import { instancesMax, scaleSettingsSchema } from '../scaling/policy.ts'
import { partitionsMax } from '../wire/arenas.ts'
import { assetNameForm, assetNamePattern, assetsMax } from './assets.ts'
import { constraintForms, parseConstraint } from './constraint.ts'
import { canaryStepsDefault, instancesPerRunnerOf, partitionsDefault, tapKibMax } from './limits.ts'
import { retryWaitMaxMs, retryWaitMs } from './policy.ts'

/** Names of functions and streams: they are part of NATS subjects, store paths and URLs. */
export const namePattern = /^[a-z][a-z0-9-]{0,62}$/
export const nameSchema = z
  .string()
  .regex(
    namePattern,
    'expected a lower-case name: a letter, then letters, digits or dashes, at most 63 in all',
  )

export const groupingSchema = z.enum(['groupBy', 'shuffle', 'roundRobin', 'broadcast', 'local', 'explicit'])
export const backPressureSchema = z.enum(['block', 'enqueue', 'dropHead', 'dropTail', 'none'])
export const inputSchema = z.strictObject({
  grouping: groupingSchema,
  backPressure: backPressureSchema.default('block'),
  /** With `dropHead` and `dropTail`: memory of what waits; with `enqueue`: disk. For each producer. */
  queueMib: z.int().min(1).max(1048576).optional(),
  /** With `enqueue`: for how long something may wait on disk. */
  queueAgeMs: z.int().min(1000).max(2592000000).optional(),
})

const finalReaction = z.enum(['fail', 'skip', 'deadLetter'])
export const errorPolicySchema = z.union([
  finalReaction,
  z.strictObject({
    retry: z.int().min(1).max(100),
    // biome-ignore lint/suspicious/noThenProperty: never a function, so never a thenable; it reads as it is meant -- API
    then: finalReaction,
    /** Before a record is tried again, while others go on; doubled each time, up to `waitMaxMs`. 0: at once. */
    waitMs: z.int().min(0).max(600000).default(retryWaitMs),
    waitMaxMs: z.int().min(0).max(3600000).default(retryWaitMaxMs),
    /** Later records of its key wait behind it. */
    keepOrder: z.boolean().default(false),
  }),
])

export const resourcesSchema = z.strictObject({
  /** Cores, shares of one. */
  cpus: z.number().min(0.01).max(1024).default(0.25),
  /** At least 64 for an instance that has a runner to itself. */
  memMib: z.int().min(1).max(1048576).default(256),
  diskMib: z.int().min(0).max(1048576).default(32),
  /** Ports of the agent, for an instance: its runner finds them in CONCORD_PORTS. */
  ports: z.int().min(1).max(64).optional(),
})

export const limitsSchema = z.strictObject({
  /** V8 heap of one instance. */
  heapMib: z.int().min(8).max(65536).default(64),
  /** Keyed state of one instance, outside the heap; `setState` beyond it throws and changes nothing. */
  stateMib: z.int().min(1).max(65536).default(64),
  /** One synchronous turn of the isolate, a batch of records; the record at hand is named when it is passed. */
  callbackMs: z.int().min(10).max(600000).default(1000),
  /** Whole time of one asynchronous callback. */
  asyncMs: z.int().min(10).max(3600000).default(30000),
  /** CPU time that an instance may use in a second, in milliseconds; beyond it, it is held back. Absent: any. */
  cpuMsPerSecond: z.int().min(1).max(1000).optional(),
  initMs: z.int().min(10).max(600000).default(5000),
  /** Bytes of output that one record may produce. */
  outputBytesPerRecord: z.int().min(1024).max(16777216).default(4194304),
})

export const instancesPerRunnerMax = 256

/** A runner that holds one instance needs so much memory for itself. */
export const runnerMemMibMin = 64
/**
 * The least `resources.memMib` of one with a runner of its own. Node takes 83 to 119 MiB before the first record, most where its code was
 * never compiled before; with 400 records a second it was at 130 within a minute.
 */
export const aloneMemMibMin = 160

/** Starts of one instance after failures before it counts as crash-looping and stays down. */
export const restartsSchema = z.int().min(0).max(1000000).default(10)

/** Wanted instances of a function. */
export const instancesSchema = z.int().min(0).max(instancesMax)

/** How state is kept outside the runner; false: it ends with its instance. */
export const checkpointSchema = z.union([
  z.literal(false),
  z.strictObject({
    /** From one checkpoint to the next. What was processed since the last one is lost to state when a runner is killed. */
    everyMs: z.int().min(100).max(3600000).default(5000),
    /** Most that is sent while the function works; the last checkpoint of an orderly end is not held to it. */
    bytesPerSecond: z.int().min(65536).max(10737418240).default(67108864),
  }),
])

/** A sentence over an attribute of an agent, kept as it was written. */
export const constraintSchema = z
  .string()
  .max(512)
  .refine((text) => parseConstraint(text) !== undefined, constraintForms)

export const placementSchema = z.strictObject({
  /** All of them hold for the agent that an instance runs on. */
  constraints: z.array(constraintSchema).max(32).default([]),
  /** Who comes first, and whom room is made for when the cluster is full. */
  priority: z.int().min(0).max(100).default(0),
})

/** What a version has to show when it takes over from another one while they run; until then that one stands by. */
export const trialSchema = z.strictObject({
  /** Records, after which it has passed. */
  records: z.int().min(0).max(1000000000).default(1000),
  /** How many of them it may throw at where the version before does not; one more, and that one is back. */
  errors: z.int().min(0).max(1000000000).default(0),
  /** Time, after which it has passed however few records came. */
  ms: z.int().min(0).max(3600000).default(1000),
})

/** A new version that has a part of the keys, step by step, and is judged against the version before at each. */
export const canarySchema = z.strictObject({
  /** Percent of the keys, ascending. Behind the last step it takes over. */
  steps: z
    .array(z.number().min(0.1).max(50))
    .min(1)
    .max(20)
    .default([...canaryStepsDefault])
    .refine((steps) => steps.every((step, i) => i === 0 || step > steps[i - 1]!), 'expected ascending steps'),
  /** How long each step is looked at. */
  bakeMs: z.int().min(1000).max(604800000).default(60000),
  /** Records of its own that a step needs; until then it goes on. */
  minRecords: z.int().min(1).max(1000000000).default(500),
  /** Share of its records that it may throw at where the version before does not. */
  maxErrors: z.number().min(0).max(1).default(0.001),
  /** How many times longer than before it may take for a record. */
  maxSlowdown: z.number().min(1).max(1000).default(1.5),
  /** Outputs of a record, as many times as before. */
  minOutputs: z.number().min(0).max(1).default(0.75),
  maxOutputs: z.number().min(1).max(1000000).default(1.5),
  /**
   * Share of the control's records of which it may make something else than the version before. If it is set, the canary's version is
   * given them too, on a copy of the state, and what it makes of them is compared and thrown away.
   */
  maxDiff: z.number().min(0).max(1).optional(),
  /** State of an instance that is copied for that at most, while the instance waits. */
  stateMib: z.int().min(0).max(65536).default(64),
  /** What the function counts (by record) or observes (on average) of its own, as many times as before. */
  metric: z
    .strictObject({
      name: z.string().min(1).max(62),
      /** Its sum by record, or its mean by value. */
      per: z.enum(['record', 'value']).default('record'),
      min: z.number().min(0).max(1).default(0.75),
      max: z.number().min(1).max(1000000).default(1.5),
    })
    .optional(),
})

export type CanaryRules = z.output<typeof canarySchema>

/** A new version that is given copies of all records, and whose outputs are compared and thrown away. */
export const shadowSchema = z.strictObject({
  /** For how long. */
  bakeMs: z.int().min(1000).max(604800000).default(60000),
  /** State of an instance that is copied for it at most, while the instance waits. */
  stateMib: z.int().min(0).max(65536).default(64),
  /** What may wait for it; beyond that it falls behind, and records go by that are not compared. */
  queueMib: z.int().min(1).max(1024).default(16),
  /** How long it may work in a second, in milliseconds: its isolate, and what its host does for it. */
  workMsPerSecond: z.int().min(10).max(1000).default(250),
  /** Differences of an instance that are written down; more are counted. */
  differences: z.int().min(0).max(1000000).default(10000),
})

export type ShadowRules = z.output<typeof shadowSchema>

/** How a new version comes into force where another one runs; absent: in all instances at once. A shadow comes first, then a canary. */
export const rolloutSchema = z.strictObject({
  /** It has a part of the keys first. */
  canary: canarySchema.optional(),
  /** It is given copies of all records, and waits for `promote`. */
  shadow: shadowSchema.optional(),
  /** So many instances at a time; the next ones when those have passed their trial. */
  rolling: z.int().min(1).max(instancesMax).optional(),
})

/** What a new version must not exceed on the tape, before it takes a live record; absent: it is not judged there. */
export const gateSchema = z.strictObject({
  /** Share of the records of which it may make something else than the version at work. */
  maxDiff: z.number().min(0).max(1).default(0.02),
  /** Records that it may throw at where the version at work does not. */
  maxErrors: z.int().min(0).max(1000000000).default(0),
  /** How many times longer it may take for a record. */
  maxSlowdown: z.number().min(1).max(1000).default(1.5),
  /** Records without which nothing is certain. */
  minRecords: z.int().min(0).max(1000000000).default(0),
  /** `ask`: who deploys may go on all the same. */
  onBreach: z.enum(['block', 'ask']).default('block'),
})

export type GateRules = z.output<typeof gateSchema>

/** The last records of an instance, kept to be processed again by another version; false: none. */
export const tapeSchema = z.union([
  z.literal(false),
  z.strictObject({
    /** How far back from the newest. */
    minutes: z.number().min(0.1).max(60).default(5),
    /** Memory for them; default: a sixteenth of `resources.memMib`, 64 at most. */
    mib: z.int().min(1).max(1024).optional(),
  }),
])

export const assetNameSchema = z.string().regex(assetNamePattern, assetNameForm)

export const logLevelSchema = z.enum(['debug', 'info', 'warn', 'error'])

export const manifestSchema = z.strictObject({
  schema: z.literal(1).default(1),
  name: nameSchema,
  istreams: z.record(nameSchema, inputSchema).default({}),
  ostreams: z.array(nameSchema).max(64).default([]),
  onError: errorPolicySchema.default('fail'),
  instances: instancesSchema.default(1),
  /** How many it is to have by its load; `instances` is then where it begins. */
  scale: scaleSettingsSchema.optional(),
  /** How many instances one runner is made for. Absent: one, or 8 with `pack`. */
  instancesPerRunner: z.int().min(1).max(instancesPerRunnerMax).optional(),
  /** Functions of one pack share runners, and each other's memory and end. */
  pack: nameSchema.optional(),
  resources: resourcesSchema.prefault({}),
  /** Where it may run, and how important it is. */
  placement: placementSchema.optional(),
  limits: limitsSchema.prefault({}),
  /** Recent inputs of an instance, kept to be run again; false: none. */
  tap: z
    .union([
      z.literal(false),
      z.strictObject({
        /** Memory for them, in KiB. */
        kib: z.int().min(16).max(tapKibMax).default(512),
      }),
    ])
    .prefault({}),
  tape: tapeSchema.prefault({}),
  gate: gateSchema.optional(),
  restarts: restartsSchema,
  checkpoint: checkpointSchema.prefault({}),
  trial: trialSchema.prefault({}),
  rollout: rolloutSchema.optional(),
  /** Names of the assets that it cannot be without. */
  assets: z.array(assetNameSchema).max(assetsMax).optional(),
  env: z.record(z.string(), z.string()).default({}),
  args: z.array(z.string()).default([]),
  logLevel: logLevelSchema.default('info'),
})

export type Manifest = z.output<typeof manifestSchema>
/** A manifest as an author writes it: what has a default may be left out. */
export type ManifestInput = z.input<typeof manifestSchema>

/** Of the memory of a runner: beyond it, who grows is ended, and no asset is fetched. */
export const memorySoftShare = 0.8

/** Memory of a runner that is left for assets, beside what it takes for itself. */
export function assetRoomMib(manifest: Manifest): number {
  const { memMib } = manifest.resources
  const mates = instancesPerRunnerOf(manifest)
  return mates === undefined
    ? Math.floor(memMib * memorySoftShare) - runnerMemMibMin
    : Math.floor(memMib * mates * memorySoftShare)
}

/** The least `resources.memMib` that leaves room for so many MiB of assets. */
export function memMibForAssets(manifest: Manifest, assetMib: number): number {
  const mates = instancesPerRunnerOf(manifest)
  return Math.ceil((assetMib + (mates === undefined ? runnerMemMibMin : 0)) / memorySoftShare / (mates ?? 1))
}

/** Memory for recent inputs of an instance. */
export function tapBytesOf({ tap }: Manifest): number {
  return tap === false ? 0 : tap.kib * 1024
}

/** How much of its last records an instance keeps. A version deployed before there were tapes has one too. */
export function tapeOf({ tape = tapeSchema.parse({}), resources }: Manifest): TapeBounds {
  if (tape === false) return { bytes: 0, ms: 0 }
  const mib = tape.mib ?? Math.min(tapeMibMax, resources.memMib / 16)
  return { bytes: mib * 2 ** 20, ms: tape.minutes * 60_000 }
}

export interface TapeBounds {
  readonly bytes: number
  readonly ms: number
}

const tapeMibMax = 64

export { instancesPerRunnerOf, partitionsDefault, partitionsMax, tapKibMax }
