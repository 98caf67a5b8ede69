/**
 * Decide: how many instances a function should have, and why.
 *
 *   A1. A pure function of its arguments: the same window gives the same decision.
 *   A2. The result is within the bounds that hold now, and within one step of the present number unless a bound
 *       requires more.
 *   A3. A larger load never leads to fewer instances.
 * Design: docs/design/0025-autoscaling.md
 * @module
 */
import { duration, isWanted, type LoadSample, maxBy, type Need, type NeedOf, needOf, whole } from './need.ts'
import { type Bounds, boundsAt, type Pace, type ScalePolicy } from './policy.ts'

export interface DecideInput extends NeedOf {
  /** The measurements of as long as `down.afterMs` and `idle.afterMs` require, as far as they exist; oldest first. */
  readonly window: readonly LoadSample[]
  /** When the number that is wanted was last changed. */
  readonly changedAtMs: number
  /** By the clock of the times above. */
  readonly nowMs: number
  /** The wall time, which schedules go by. Default: `nowMs`. */
  readonly wallMs?: number
}

export interface Decision {
  readonly instances: number
  readonly because: string
}

/** So much more load the instances that are left should be able to do, so that noise does not cause changes. */
const downRoom = 1.25

export function decide(input: DecideInput): Decision {
  const { policy, window, instances, partitions, nowMs, wallMs = nowMs } = input
  const bounds = boundsOf(policy, partitions, wallMs)
  const last = window.at(-1)
  if (last === undefined) return clamped(instances, 'nothing is known of it yet', bounds)
  if (instances === 0) {
    if (!isWanted(last)) return clamped(0, 'nothing comes', bounds)
    return clamped(1, 'records wait, and nobody is there', bounds)
  }
  if (isIdle(policy, window, nowMs))
    return clamped(0, `nothing came for ${duration(policy.idle?.afterMs ?? idleDefaultMs)}`, bounds)
  const { wanted, because } = follow(input)
  return clamped(wanted, because, { ...bounds, min: Math.max(1, bounds.min) })
}

/** Follows the load, in steps, once it has lasted for long enough. */
function follow(input: DecideInput) {
  const { policy, window, instances, changedAtMs, nowMs } = input
  const { up, down } = policy
  const needs = (sinceMs: number, room: number): readonly Need[] =>
    since(window, nowMs - sinceMs).map((sample) => needOf(input, sample, room))
  const knownMs = nowMs - window[0]!.atMs + slackMs
  const stay = (because: string) => ({ wanted: instances, because })

  const lately = needs(up.afterMs, 1)
  const now = lately.at(-1)!
  const least = minBy(lately, ({ need }) => need)
  const more = whole(least.need)
  if (more > instances) {
    const held = coolDown('up', up, nowMs - changedAtMs)
    if (held !== undefined || knownMs < up.afterMs)
      return stay(`${least.because}, but ${held ?? 'only just'}`)
    const highest = Math.max(instances + up.step, Math.floor(instances * up.factor))
    return { wanted: Math.min(more, highest), because: `${least.because}: ${more} needed` }
  }
  const most = maxBy(needs(down.afterMs, downRoom), ({ need }) => need)
  const fewer = whole(most.need)
  if (fewer >= instances || knownMs < down.afterMs) return stay(now.because)
  const held = coolDown('down', down, nowMs - changedAtMs)
  if (held !== undefined) return stay(`${now.because}, but ${held}`)
  const lowest = Math.min(instances - down.step, Math.ceil(instances / down.factor))
  const because = `at most, for ${duration(down.afterMs)}: ${most.because}: ${Math.max(1, fewer)} needed`
  return { wanted: Math.max(fewer, lowest), because }
}

/** Measurements are a second apart, and one may be late. */
const slackMs = 1_500
const idleDefaultMs = 300_000

/** For how long measurements must be kept, in milliseconds. */
export function windowMs(policy: ScalePolicy): number {
  const idleMs = policy.min === 0 ? (policy.idle?.afterMs ?? idleDefaultMs) : 0
  return Math.max(policy.up.afterMs, policy.down.afterMs, idleMs) + slackMs
}

function boundsOf(policy: ScalePolicy, partitions: number | undefined, wallMs: number): Bounds {
  const bounds = boundsAt(policy, wallMs)
  if (partitions === undefined || partitions >= bounds.max) return bounds
  const min = Math.min(bounds.min, partitions)
  return { min, max: partitions, because: `its inputs have ${partitions} partitions` }
}

function clamped(wanted: number, because: string, { min, max, because: why }: Bounds): Decision {
  if (wanted >= min && wanted <= max) return { instances: wanted, because }
  const bound = wanted < min ? `at least ${min}` : `at most ${max}`
  return {
    instances: Math.min(max, Math.max(min, wanted)),
    because: `${because}; ${bound}${why === undefined ? '' : `, by ${why}`}`,
  }
}

function isIdle(policy: ScalePolicy, window: readonly LoadSample[], nowMs: number): boolean {
  if (policy.min > 0) return false
  const afterMs = policy.idle?.afterMs ?? idleDefaultMs
  if (nowMs - window[0]!.atMs < afterMs) return false
  return since(window, nowMs - afterMs).every((sample) => !isWanted(sample) && sample.timers === 0)
}

function coolDown(direction: string, { coolDownMs }: Pace, sinceMs: number): string | undefined {
  if (sinceMs >= coolDownMs) return undefined
  return `the last change was ${duration(sinceMs)} ago, and '${direction}.coolDownMs' is ${duration(coolDownMs)}`
}

/** The measurements from a time on, and the last one in any case. */
function since<T extends { readonly atMs: number }>(list: readonly T[], fromMs: number): readonly T[] {
  const first = list.findIndex(({ atMs }) => atMs >= fromMs)
  return list.slice(first < 0 ? -1 : first)
}

function minBy<T>(list: readonly T[], of: (each: T) => number): T {
  return list.reduce((least, each) => (of(each) < of(least) ? each : least))
}
