/**
 * Instance: one running copy of a function, as the API shows it.
 * @module
 */
import { z } from 'zod'
import { memorySchema } from './memory.ts'

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
