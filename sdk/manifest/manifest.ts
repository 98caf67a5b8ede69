/**
 * Manifest: what is deployed beside the code, and the only description of a function that the platform keeps.
 *
 * Made from the code's `metadata` and the author's `concord.jsonc`; stored with each version and never changed.
 * `schema` is the version of this shape: a reader refuses a higher one.
 * @module
 */

import * as z from 'zod'
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
const backPressureSchema = z.enum(['block', 'enqueue', 'dropHead', 'dropTail', 'none'])
export const inputSchema = z.strictObject({
  grouping: groupingSchema,
  backPressure: backPressureSchema.default('block'),
  /** The size of the queue at each producer, in MiB: memory for `dropHead` and `dropTail`, disk for `enqueue`. */
  queueMib: z.int().min(1).max(1048576).optional(),
  /** With `enqueue`: the longest time that a record may wait. */
  queueAgeMs: z.int().min(1000).max(2592000000).optional(),
})

/** Something of each input stream, by name. */
export function byStream<Of extends z.ZodType>(of: Of) {
  return z.record(nameSchema, of, {
    error: ({ code, input }) => {
      if (code !== 'invalid_type') return undefined
      const [name] = [input].flat().filter((one) => typeof one === 'string')
      return `expected streams with their groupings, as in { "${name ?? 'words'}": "groupBy" }`
    },
  })
}

const finalReaction = z.enum(['fail', 'skip', 'deadLetter'])
export const errorPolicySchema = z.union([
  finalReaction,
  z.strictObject({
    retry: z.int().min(1).max(100),
    // biome-ignore lint/suspicious/noThenProperty: never a function, so never a thenable; it reads as it is meant -- API
    then: finalReaction,
    /**
     * Before the next attempt, while other records are processed; doubled each time, up to `waitMaxMs`. 0: at once.
     */
    waitMs: z.int().min(0).max(600000).default(retryWaitMs),
    waitMaxMs: z.int().min(0).max(3600000).default(retryWaitMaxMs),
    /** Whether later records with the same key wait for it. */
    keepOrder: z.boolean().default(false),
  }),
])

export const resourcesSchema = z.strictObject({
  /** CPU cores; fractions are allowed. */
  cpus: z.number().min(0.01).max(1024).default(0.25),
  /**
   * The memory of the runner if the instance has one to itself (then at least `aloneMemMibMin`), else its part of it.
   */
  memMib: z.int().min(1).max(1048576).default(256),
  diskMib: z.int().min(0).max(1048576).default(32),
  /** The number of ports of the agent for each instance. The runner finds the ports in CONCORD_PORTS. */
  ports: z.int().min(1).max(64).optional(),
})

const heapMibDefault = 64

const limitsSchema = z.strictObject({
  /** The V8 heap of one instance. */
  heapMib: z.int().min(8).max(65536).default(heapMibDefault),
  /** Keyed state of one instance, outside the heap. A `setState` beyond it throws and changes nothing. */
  stateMib: z.int().min(1).max(65536).default(64),
  /**
   * The time of one synchronous call into the isolate, which processes a batch of records. When it is exceeded, the
   * current record is named.
   */
  callbackMs: z.int().min(10).max(600000).default(1000),
  /** The total time of one asynchronous callback. */
  asyncMs: z.int().min(10).max(3600000).default(30000),
  /**
   * The CPU time that an instance may use per second, in milliseconds; beyond it, the instance is slowed down.
   * Absent: no limit.
   */
  cpuMsPerSecond: z.int().min(1).max(1000).optional(),
  initMs: z.int().min(10).max(600000).default(5000),
  /** The bytes of output that one record may produce. */
  outputBytesPerRecord: z.int().min(1024).max(16777216).default(4194304),
})

const instancesPerRunnerMax = 256

/** The memory that a runner with one instance needs for itself. */
export const runnerMemMibMin = 64
/**
 * The minimum of `resources.memMib` for an instance that has a runner to itself. Node takes 83 to 119 MiB before the
 * first record, most if its code was never compiled before; at 400 records a second it used 130 within a minute.
 */
export const aloneMemMibMin = 160

/** The failures in a row after which an instance counts as crash-looping and is not started again. */
const restartsSchema = z.int().min(0).max(1000000).default(10)

/** Wanted instances of a function. */
export const instancesSchema = z.int().min(0).max(instancesMax)

/** How state is stored outside the runner; false: it ends with its instance. */
export const checkpointSchema = z.union([
  z.literal(false),
  z.strictObject({
    /**
     * The time between two checkpoints. When a runner is killed, the effects on state since the last one are lost.
     */
    everyMs: z.int().min(100).max(3600000).default(5000),
    /**
     * The most that is sent per second while the function works. The last checkpoint of an orderly end is not
     * limited.
     */
    bytesPerSecond: z.int().min(65536).max(10737418240).default(67108864),
  }),
])

/** A condition on an attribute of an agent, stored as it was written. */
const constraintSchema = z
  .string()
  .max(512)
  .refine((text) => parseConstraint(text) !== undefined, constraintForms)

export const placementSchema = z.strictObject({
  /** All of them must hold for the agent on which an instance runs. */
  constraints: z.array(constraintSchema).max(32).default([]),
  /** The importance of the function: who is placed first, and for whom room is made when the cluster is full. */
  priority: z.int().min(0).max(100).default(0),
})

/** What a version has to show after it has taken over. Until then the version before stands by. */
const trialSchema = z.strictObject({
  /** The number of records after which it has passed. */
  records: z.int().min(0).max(1000000000).default(1000),
  /**
   * The number of these records for which it may throw where the version before does not. One more, and it is rolled
   * back.
   */
  errors: z.int().min(0).max(1000000000).default(0),
  /** The time after which it has passed, however few records came. */
  ms: z.int().min(0).max(3600000).default(1000),
})

/**
 * A canary: a new version that gets a share of the keys, step by step, and is compared with the version before at
 * each step.
 */
export const canarySchema = z.strictObject({
  /** Percent of the keys, ascending. After the last step the version takes over. */
  steps: z
    .array(z.number().min(0.1).max(50))
    .min(1)
    .max(20)
    .default([...canaryStepsDefault])
    .refine((steps) => steps.every((step, i) => i === 0 || step > steps[i - 1]!), 'expected ascending steps'),
  /** The duration of each step. */
  bakeMs: z.int().min(1000).max(604800000).default(60000),
  /** The records that the canary must process in a step; until then the step continues. */
  minRecords: z.int().min(1).max(1000000000).default(500),
  /** The share of its records for which it may throw where the version before does not. */
  maxErrors: z.number().min(0).max(1).default(0.001),
  /** How many times longer than the version before it may take for a record. */
  maxSlowdown: z.number().min(1).max(1000).default(1.5),
  /** The number of outputs per record, relative to the version before. */
  minOutputs: z.number().min(0).max(1).default(0.75),
  maxOutputs: z.number().min(1).max(1000000).default(1.5),
  /**
   * The share of the control's records for which it may produce other outputs than the version before. If set, the
   * canary's version also processes these records on a copy of the state; its outputs are compared and thrown away.
   */
  maxDiff: z.number().min(0).max(1).optional(),
  /** The most state of an instance that is copied for that; the instance waits meanwhile. */
  stateMib: z.int().min(0).max(65536).default(64),
  /**
   * A metric of the function, relative to the version before: a count by record, or the mean of an observed value.
   */
  metric: z
    .strictObject({
      name: z.string().min(1).max(62),
      /** Whether the sum is divided by the number of records, or by the number of values. */
      per: z.enum(['record', 'value']).default('record'),
      min: z.number().min(0).max(1).default(0.75),
      max: z.number().min(1).max(1000000).default(1.5),
    })
    .optional(),
})

export type CanaryRules = z.output<typeof canarySchema>

/** A shadow: a new version that gets copies of all records, and whose outputs are compared and thrown away. */
export const shadowSchema = z.strictObject({
  /** Its duration. */
  bakeMs: z.int().min(1000).max(604800000).default(60000),
  /** The most state of an instance that is copied for it; the instance waits meanwhile. */
  stateMib: z.int().min(0).max(65536).default(64),
  /** The size of its queue; beyond that it falls behind, and some records are not compared. */
  queueMib: z.int().min(1).max(1024).default(16),
  /** The time that it may work per second, in milliseconds: in its isolate, and in the host on its behalf. */
  workMsPerSecond: z.int().min(10).max(1000).default(250),
  /** The number of differences that an instance stores; further ones are only counted. */
  differences: z.int().min(0).max(1000000).default(10000),
})

export type ShadowRules = z.output<typeof shadowSchema>

/**
 * How a new version takes over from a running one. Absent: in all instances at once. A shadow comes first, then a
 * canary.
 */
export const rolloutSchema = z.strictObject({
  /** The version first gets a share of the keys. */
  canary: canarySchema.optional(),
  /** The version first gets copies of all records, and waits for `promote`. */
  shadow: shadowSchema.optional(),
  /**
   * The number of instances that get the version at a time. The next ones follow when these have passed their trial.
   */
  rolling: z.int().min(1).max(instancesMax).optional(),
})

/** What a new version must not exceed on the tape before it gets a live record. Absent: it is not judged. */
export const gateSchema = z.strictObject({
  /** The share of the records for which it may produce other outputs than the live version. */
  maxDiff: z.number().min(0).max(1).default(0.02),
  /** The number of records for which it may throw where the live version does not. */
  maxErrors: z.int().min(0).max(1000000000).default(0),
  /** How many times longer than the live version it may take for a record. */
  maxSlowdown: z.number().min(1).max(1000).default(1.5),
  /** The number of records that a judgement needs. */
  minRecords: z.int().min(0).max(1000000000).default(0),
  /** `block`: the deploy is refused; `ask`: the person who deploys may accept it. */
  onBreach: z.enum(['block', 'ask']).default('block'),
})

export type GateRules = z.output<typeof gateSchema>

/** The tape: the last records of an instance, kept so that another version can process them; false: none. */
const tapeSchema = z.union([
  z.literal(false),
  z.strictObject({
    /** The age of the oldest record. */
    minutes: z.number().min(0.1).max(60).default(5),
    /** Memory for it; default: a sixteenth of `resources.memMib`, at most 64. */
    mib: z.int().min(1).max(1024).optional(),
  }),
])

export const assetNameSchema = z.string().regex(assetNamePattern, assetNameForm)

export const logLevelSchema = z.enum(['debug', 'info', 'warn', 'error'])

export const manifestSchema = z.strictObject({
  schema: z.literal(1).default(1),
  name: nameSchema,
  istreams: byStream(inputSchema).default({}),
  ostreams: z.array(nameSchema).max(64).default([]),
  onError: errorPolicySchema.default('fail'),
  instances: instancesSchema.default(1),
  /** The scaling policy. `instances` is then only the number to start with. */
  scale: scaleSettingsSchema.optional(),
  /** The number of instances in a runner. Absent: 1, or 8 with `pack`. */
  instancesPerRunner: z.int().min(1).max(instancesPerRunnerMax).optional(),
  /** Functions of the same pack share runners; they share the runner's memory, and its end. */
  pack: nameSchema.optional(),
  resources: resourcesSchema.prefault({}),
  /** Where instances may run, and how important the function is. */
  placement: placementSchema.optional(),
  limits: limitsSchema.prefault({}),
  /** The tap: recent inputs of an instance, kept for replay; false: none. */
  tap: z
    .union([
      z.literal(false),
      z.strictObject({
        /** Memory for it, in KiB. */
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
  /** The names of the assets that the function needs. */
  assets: z.array(assetNameSchema).max(assetsMax).optional(),
  env: z.record(z.string(), z.string()).default({}),
  args: z.array(z.string()).default([]),
  logLevel: logLevelSchema.default('info'),
})

export type Manifest = z.output<typeof manifestSchema>
/** A manifest as an author writes it: settings with a default may be left out. */
export type ManifestInput = z.input<typeof manifestSchema>

/** The share of a runner's memory beyond which an instance that grows is ended, and no asset is fetched. */
export const memorySoftShare = 0.8

/** What the runner itself takes at work, with a heap of up to the default that is not full. */
const runnerAtWorkMib = 128

/**
 * The `resources.memMib` with which a runner is not slowed down even if its state is full, since a checkpoint may copy all of it;
 * undefined for an instance that shares its runner.
 * @param assetBytes Those of the version's assets, all together.
 */
export function memMibGood(manifest: Manifest, assetBytes: number): number | undefined {
  const { limits, checkpoint } = manifest
  if (instancesPerRunnerOf(manifest) !== undefined) return undefined
  const copies = checkpoint === false ? 1 : 2
  const assetsMib = Math.floor(assetBytes / 2 ** 20) // a few bytes are no reason to advise other memory
  return runnerAtWorkMib + Math.max(0, limits.heapMib - heapMibDefault) + copies * limits.stateMib + assetsMib
}

/** The memory of a runner that is left for assets, besides what the runner itself takes. */
export function assetRoomMib(manifest: Manifest): number {
  const { memMib } = manifest.resources
  const mates = instancesPerRunnerOf(manifest)
  return mates === undefined
    ? Math.floor(memMib * memorySoftShare) - runnerMemMibMin
    : Math.floor(memMib * mates * memorySoftShare)
}

/** The minimum of `resources.memMib` that leaves room for this many MiB of assets. */
export function memMibForAssets(manifest: Manifest, assetMib: number): number {
  const mates = instancesPerRunnerOf(manifest)
  return Math.ceil((assetMib + (mates === undefined ? runnerMemMibMin : 0)) / memorySoftShare / (mates ?? 1))
}

/** The memory for the recent inputs of an instance. */
export function tapBytesOf({ tap }: Manifest): number {
  return tap === false ? 0 : tap.kib * 1024
}

/** How much of its last records an instance keeps. A version that was deployed before tapes existed has one too. */
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
