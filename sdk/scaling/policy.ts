/**
 * Policy: how many instances a function is to have, as its author says it: bounds, targets, and how quickly to follow them.
 *
 * Design: docs/design/0025-autoscaling.md
 * @module
 */
import { Cron } from 'croner'
import { z } from 'zod'
import { metricNamePattern } from '../wire/user-metrics.ts'

export const instancesMax = 1024
const durationMs = z.int().min(0).max(86_400_000)

export const targetsSchema = z.strictObject({
  /** How long what waits may take to be worked off. */
  behindMs: z.int().min(10).max(86_400_000).optional(),
  /** Records that may wait, for each instance. */
  backlog: z.int().min(1).max(1_000_000_000).optional(),
  /** Records a second that come to each instance. */
  recordsPerSecond: z.number().min(0.001).max(1e9).optional(),
  /** Cores that the isolate of each instance uses. */
  cpu: z.number().min(0.01).max(1).optional(),
  /** Of the calls into the isolate: what 99 of 100 records do not wait longer for. */
  p99Ms: z.number().min(0.01).max(3_600_000).optional(),
  /** Of the function's own: of a count, what it grows by a second; of an observed value, its mean. For each instance. */
  metric: z
    .strictObject({
      name: z.string().regex(metricNamePattern, "expected a metric's name, as in `ctx.metrics.count(name)`"),
      value: z.number().positive(),
    })
    .optional(),
})
export type Targets = z.output<typeof targetsSchema>

const paceOf = (afterMs: number, coolDownMs: number) =>
  z.strictObject({
    /** For how long it has to be so before it is followed. */
    afterMs: durationMs.max(3_600_000).default(afterMs),
    /** From the last change of the number to one in this direction. */
    coolDownMs: durationMs.default(coolDownMs),
    /** Instances at once: so many, or by this factor, whichever is more. */
    step: z.int().min(1).max(instancesMax).default(4),
    factor: z.number().min(1).max(100).default(2),
  })

export const scheduleSchema = z
  .strictObject({
    /** When it begins: minute, hour, day of month, month, day of week. */
    cron: z.string().max(128).refine(isCron, "expected a cron expression like '0 8 * * 1-5'"),
    timeZone: z
      .string()
      .max(64)
      .refine(isTimeZone, "expected a time zone like 'Europe/Zurich'")
      .default('UTC'),
    /** How long it holds. */
    forMs: z.int().min(1000).max(31_536_000_000),
    min: z.int().min(0).max(instancesMax).optional(),
    max: z.int().min(1).max(instancesMax).optional(),
  })
  .refine(({ min, max }) => min !== undefined || max !== undefined, "expected 'min', 'max' or both")
  .refine(({ min = 0, max = instancesMax }) => min <= max, "expected a 'min' that is at most 'max'")
export type Schedule = z.output<typeof scheduleSchema>

export const scaleSettingsSchema = z
  .strictObject({
    min: z.int().min(0).max(instancesMax).default(1),
    max: z.int().min(1).max(instancesMax),
    targets: targetsSchema
      .refine((targets) => Object.values(targets).some((value) => value !== undefined), {
        message:
          "expected at least one of 'behindMs', 'backlog', 'recordsPerSecond', 'cpu', 'p99Ms', 'metric'",
      })
      .prefault({ behindMs: 1000 }),
    up: paceOf(2_000, 0).prefault({}),
    down: paceOf(60_000, 15_000).prefault({}),
    /** Other bounds at some times; of several at once the greatest count. */
    schedule: z.array(scheduleSchema).max(32).default([]),
    /** With `min: 0`: when there is to be none. */
    idle: z
      .strictObject({
        afterMs: z.int().min(1000).max(86_400_000).default(300_000),
        /** A runner stays, empty, so that the first record finds it. */
        warm: z.boolean().default(false),
      })
      .optional(),
    /** Learns the shape of the days and of the week, and is there before the load. */
    predict: z
      .strictObject({
        aheadMs: z.int().min(1000).max(86_400_000).default(300_000),
        /** Length of what repeats itself; seven of them are the week. */
        dayMs: z.int().min(10_000).max(86_400_000).default(86_400_000),
      })
      .optional(),
  })
  .refine(({ min, max }) => min <= max, "expected a 'min' that is at most 'max'")
  .refine(
    ({ min, idle }) => idle === undefined || min === 0,
    "'idle' goes with 'min: 0'; expected that, or no 'idle'",
  )
/** What is in `scale` of a manifest. */
export type ScalePolicy = z.output<typeof scaleSettingsSchema>
export type ScalePolicyInput = z.input<typeof scaleSettingsSchema>
export type Pace = ScalePolicy['up']

export interface Bounds {
  readonly min: number
  readonly max: number
  /** What of the schedule holds now; absent: nothing. */
  readonly because?: string
}

/** Minimum and maximum at a time. */
export function boundsAt({ min, max, schedule }: ScalePolicy, nowMs: number): Bounds {
  const now = schedule.filter((entry) => holds(entry, nowMs))
  if (now.length === 0) return { min, max }
  const least = Math.max(...now.map((entry) => entry.min ?? min))
  const most = Math.max(...now.map((entry) => entry.max ?? max), least)
  return { min: least, max: most, because: `the schedule '${now.map(({ cron }) => cron).join("', '")}'` }
}

function holds({ cron, timeZone, forMs }: Schedule, nowMs: number): boolean {
  // The first beginning that would not be over yet; croner looks strictly behind the time given.
  const begins = new Cron(cron, { timezone: timeZone }).nextRun(new Date(nowMs - forMs))
  return begins !== null && begins.getTime() <= nowMs
}

function isCron(text: string): boolean {
  try {
    return new Cron(text, { mode: '5-part' }).nextRun() !== null
  } catch {
    return false
  }
}

function isTimeZone(text: string): boolean {
  try {
    new Intl.DateTimeFormat('en', { timeZone: text })
    return true
  } catch {
    return false
  }
}
