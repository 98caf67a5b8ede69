/**
 * Instance: one running copy of a function, as the API shows it.
 * @module
 */
import * as z from 'zod'
import { memorySchema } from './memory-schema.ts'

/** The checkpoints of an instance. */
const checkpointReportSchema = z.object({
  /** When the last stored one was cut, and how long storing it took; absent before the first. */
  atMs: z.number().optional(),
  tookMs: z.number().optional(),
  /** How long ago that was by the clock of its machine, by which `atMs` is too. */
  ageMs: z.number().optional(),
  /** Bytes kept, and bytes that the last one added. */
  storedBytes: z.number(),
  writtenBytes: z.number(),
  writtenBytesTotal: z.number(),
  /** How long the instance was paused for the last one, and for the longest. */
  pauseMs: z.number(),
  pauseMaxMs: z.number(),
  made: z.int(),
  failed: z.int(),
  /** Why the last one failed. */
  error: z.string().optional(),
})

/** A swap or trial in an instance. */
const swapSchema = z.object({
  version: z.int(),
  /** `failed`: the previous version runs; `reason` says why. */
  state: z.enum(['preparing', 'onTrial', 'failed']),
  reason: z.string().optional(),
  /** During a trial: records and timers processed so far. */
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
  /** Why it is on its agent. */
  placed: z.string().optional(),
  /** Its partitions of each input that is not broadcast; absent: none. */
  partitions: z.array(z.int()).optional(),
  /** Absent unless a swap is under way or has failed. */
  swap: swapSchema.optional(),
  /** How long the last swap paused the instance. */
  swapPauseMs: z.number().optional(),
  /** The version that last passed its trial here, and the records it processed in it. */
  tried: z.object({ version: z.int(), records: z.int() }).optional(),
  lastExit: z
    .object({ code: z.int().optional(), reason: z.string(), message: z.string(), atMs: z.number() })
    .optional(),
  pid: z.int().optional(),
  /** Resident memory of its runner, which may hold other instances too. */
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
  /** Partitions with state in the format of an earlier version. */
  migrating: z.int().optional(),
  /** How long `limits.cpuMsPerSecond` held it back. */
  throttledMs: z.number().default(0),
  /** Records set aside for a retry. */
  setAside: z.int().default(0),
  /** Absent where the function wants no checkpoints. */
  checkpoint: checkpointReportSchema.optional(),
  lastError: z
    .object({
      name: z.string(),
      message: z.string(),
      stack: z.string(),
      at: z.string().optional(),
      /** The timer that the callback was called for, if any. */
      timer: z.object({ partition: z.int(), key: z.string(), timeMs: z.number() }).optional(),
      timeMs: z.number(),
    })
    .optional(),
})
export type Instance = z.output<typeof instanceSchema>
