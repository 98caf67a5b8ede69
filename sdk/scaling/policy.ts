/**
 * Policy: how many instances a function should have, as its author defines it: bounds, targets, and how fast to
 * follow them.
 *
 * Design: docs/design/0025-autoscaling.md
 * @module
 */
import { Cron } from 'croner'
import * as z from 'zod'
import { metricNamePattern } from '../wire/user-metrics.ts'

export const instancesMax = 1024
const durationMs = z.int().min(0).max(86_400_000)

const targetsSchema = z.strictObject({
  /** How long it may take to process the records that wait. */
  behindMs: z.int().min(10).max(86_400_000).optional(),
  /** Records that may wait, for each instance. */
  backlog: z.int().min(1).max(1_000_000_000).optional(),
  /** Records a second that arrive, for each instance. */
  recordsPerSecond: z.number().min(0.001).max(1e9).optional(),
  /** CPU cores that the isolate of each instance uses. */
  cpu: z.number().min(0.01).max(1).optional(),
  /** The 99th percentile of the time that a record spends in its call into the isolate. */
  p99Ms: z.number().min(0.01).max(3_600_000).optional(),
  /**
   * A metric of the function, for each instance: the growth of a count per second, or the mean of an observed value.
   */
  metric: z
    .strictObject({
      name: z.string().regex(metricNamePattern, "expected a metric's name, as in `ctx.metrics.count(name)`"),
      value: z.number().positive(),
    })
    .optional(),
})

const paceOf = (afterMs: number, coolDownMs: number) =>
  z.strictObject({
    /** How long the load must last before it is followed. */
    afterMs: durationMs.max(3_600_000).default(afterMs),
    /** The least time from the last change to a change in this direction. */
    coolDownMs: durationMs.default(coolDownMs),
    /** The largest change at once: this many instances, or this factor, whichever is more. */
    step: z.int().min(1).max(instancesMax).default(4),
    factor: z.number().min(1).max(100).default(2),
  })

const scheduleSchema = z
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
    /** Other bounds at certain times. If several hold, the largest count. */
    schedule: z.array(scheduleSchema).max(32).default([]),
    /** With `min: 0`: when the last instance is removed. */
    idle: z
      .strictObject({
        afterMs: z.int().min(1000).max(86_400_000).default(300_000),
        /** Keeps an empty runner, so that the first record finds one. */
        warm: z.boolean().default(false),
      })
      .optional(),
    /** Learns how the load changes over the day and the week, and scales before it comes. */
    predict: z
      .strictObject({
        aheadMs: z.int().min(1000).max(86_400_000).default(300_000),
        /** The length of a day in milliseconds. Seven of them are a week. */
        dayMs: z.int().min(10_000).max(86_400_000).default(86_400_000),
      })
      .optional(),
  })
  .refine(({ min, max }) => min <= max, "expected a 'min' that is at most 'max'")
  .refine(
    ({ min, idle }) => idle === undefined || min === 0,
    "'idle' goes with 'min: 0'; expected that, or no 'idle'",
  )
/** The shape of `scale` in a manifest. */
export type ScalePolicy = z.output<typeof scaleSettingsSchema>
export type ScalePolicyInput = z.input<typeof scaleSettingsSchema>
export type Pace = ScalePolicy['up']

export interface Bounds {
  readonly min: number
  readonly max: number
  /** What set these bounds, if not `min` and `max` of the policy. */
  readonly because?: string
}

/** The minimum and maximum at a time. */
export function boundsAt({ min, max, schedule }: ScalePolicy, nowMs: number): Bounds {
  const now = schedule.filter((entry) => holds(entry, nowMs))
  if (now.length === 0) return { min, max }
  const least = Math.max(...now.map((entry) => entry.min ?? min))
  const most = Math.max(...now.map((entry) => entry.max ?? max), least)
  return { min: least, max: most, because: `the schedule '${now.map(({ cron }) => cron).join("', '")}'` }
}

function holds({ cron, timeZone, forMs }: Schedule, nowMs: number): boolean {
  // The first start after which the entry would still hold; croner looks strictly after the given time.
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
