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
import { type Bounds, boundsAt, type Pace, type ScalePolicy } from './policy.ts'

/** A measurement of a function at one time. All rates are records a second. */
export interface LoadSample {
  readonly atMs: number
  /** Working instances. */
  readonly instances: number
  /** Records that arrive, or would arrive if functions behind it did not block. */
  readonly demand: number
  /** Records that wait for it, wherever they are. */
  readonly backlog: number
  /**
   * Records that were sent, or wait to be sent, and are not finished. More than the backlog if another function is
   * the slow one.
   */
  readonly inFlight: number
  /** Records that were processed. */
  readonly processed: number
  /** Records that one instance could process; absent: not known yet. */
  readonly trueRate?: number
  /** How long an instance takes to start; absent: not known yet. */
  readonly startMs?: number
  /** The busy time of all instances: the sum of their shares of time. */
  readonly busy: number
  /** CPU cores in use. */
  readonly cpu: number
  readonly p99Ms?: number
  /** For a count: its growth per second over all instances. For an observed value: its mean. */
  readonly metric?: { readonly kind: 'count' | 'observe'; readonly value: number }
  /** Timers that are set. */
  readonly timers: number
  /** The predicted demand. */
  readonly predicted?: number
}

export interface DecideInput {
  readonly policy: ScalePolicy
  /** The measurements of as long as `down.afterMs` and `idle.afterMs` require, as far as they exist; oldest first. */
  readonly window: readonly LoadSample[]
  /** The number that is wanted now. */
  readonly instances: number
  /** When that number was last changed. */
  readonly changedAtMs: number
  /** The partitions of its inputs; absent: it has no inputs. */
  readonly partitions?: number
  /** By the clock of the times above. */
  readonly nowMs: number
  /** The wall time, which schedules go by. Default: `nowMs`. */
  readonly wallMs?: number
}

export interface Decision {
  readonly instances: number
  readonly because: string
}

/** The least time in which a backlog beyond the target should be worked off. */
const catchUpMinMs = 5_000
/**
 * That time in starts of an instance. Records wait while instances start, and those that are starting will work them
 * off: in three starts a third more than the load needs is enough.
 */
const catchUpStarts = 3
/** At most this long, so that one start that was slow by accident does not make a backlog count for nothing. */
const catchUpMaxMs = 180_000
/** The share of its time that an instance should be busy. */
const busyShare = 0.8
/** The margin between scaling up and down, so that noise does not cause changes. */
const downRoom = 1.25
/** Ratios nearer to 1 than this mean nothing. */
const tolerance = 0.1

/** The need according to one target. */
interface Need {
  /** Instances, not rounded. */
  readonly need: number
  readonly because: string
}

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
function follow({ policy, window, instances, changedAtMs, nowMs }: DecideInput) {
  const { up, down } = policy
  const needs = window.map((sample) => ({ atMs: sample.atMs, ...needOf(policy, sample, instances) }))
  const now = needs.at(-1)!
  const knownMs = nowMs - needs[0]!.atMs + slackMs
  const stay = (because: string) => ({ wanted: instances, because })

  const least = minBy(since(needs, nowMs - up.afterMs), ({ need }) => need)
  const more = whole(least.need)
  if (more > instances) {
    const held = coolDown('up', up, nowMs - changedAtMs)
    if (held !== undefined || knownMs < up.afterMs)
      return stay(`${least.because}, but ${held ?? 'only just'}`)
    const highest = Math.max(instances + up.step, Math.floor(instances * up.factor))
    return { wanted: Math.min(more, highest), because: `${least.because}: ${more} needed` }
  }
  const most = maxBy(since(needs, nowMs - down.afterMs), ({ need }) => need)
  const fewer = whole(most.need * downRoom)
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

function isWanted({ backlog, inFlight, demand, predicted = 0 }: LoadSample): boolean {
  return backlog > 0 || inFlight > 0 || demand > 0 || predicted >= 1
}

function isIdle(policy: ScalePolicy, window: readonly LoadSample[], nowMs: number): boolean {
  if (policy.min > 0) return false
  const afterMs = policy.idle?.afterMs ?? idleDefaultMs
  if (nowMs - window[0]!.atMs < afterMs) return false
  return since(window, nowMs - afterMs).every((sample) => !isWanted(sample) && sample.timers === 0)
}

/** The largest need of all targets, by one measurement. */
function needOf({ targets }: ScalePolicy, sample: LoadSample, wanted: number): Need {
  const needs = [...needsOf(targets, sample)]
  if (needs.length > 0) return maxBy(needs, ({ need }) => need)
  if (!isWanted(sample)) return { need: 0, because: 'nothing comes' }
  return { need: wanted, because: 'nothing has been processed yet' }
}

function* needsOf(targets: ScalePolicy['targets'], sample: LoadSample): Generator<Need> {
  const { instances, demand, backlog, trueRate, startMs = 0, cpu, p99Ms, metric, predicted } = sample
  const { behindMs, backlog: backlogTarget, recordsPerSecond, cpu: cpuTarget } = targets
  if (trueRate !== undefined) {
    if (behindMs !== undefined) {
      const allowed = (behindMs / 1000) * trueRate * Math.max(1, instances)
      const excess = Math.max(0, backlog - allowed)
      const catchUpMs = Math.min(catchUpMaxMs, Math.max(catchUpMinMs, catchUpStarts * startMs))
      const toCatchUp = (demand + excess / (catchUpMs / 1000)) / (trueRate * busyShare)
      // A function that is behind although its instances should be able to keep up is not scaled down: something
      // slows it down.
      const need = excess > 0 ? Math.max(toCatchUp, instances) : toCatchUp
      const behind = backlog / (trueRate * Math.max(1, instances))
      const starts = catchUpMs > catchUpMinMs ? `starts in ${duration(startMs)} and ` : ''
      yield {
        need,
        because: `${rate(demand)} come, ${records(backlog)} wait (${duration(behind * 1000)} behind, target ${duration(behindMs)}), and an instance ${starts}does ${rate(trueRate)}`,
      }
    }
    if (predicted !== undefined)
      yield {
        need: predicted / (trueRate * busyShare),
        because: `${rate(predicted)} are foreseen, and an instance does ${rate(trueRate)}`,
      }
  }
  if (backlogTarget !== undefined)
    yield {
      need: backlog / backlogTarget,
      because: `${records(backlog)} wait, target ${backlogTarget} for each instance`,
    }
  if (recordsPerSecond !== undefined)
    yield {
      need: Math.max(demand, predicted ?? 0) / recordsPerSecond,
      because: `${rate(demand)} come, target ${rate(recordsPerSecond)} for each instance`,
    }
  if (cpuTarget !== undefined)
    yield {
      need: cpu / cpuTarget,
      because: `it uses ${short(cpu)} cores, target ${cpuTarget} for each instance`,
    }
  if (targets.p99Ms !== undefined && p99Ms !== undefined)
    yield {
      need: instances * ratio(p99Ms / targets.p99Ms),
      because: `p99 of a call is ${short(p99Ms)} ms, target ${targets.p99Ms} ms`,
    }
  if (targets.metric !== undefined && metric !== undefined) {
    const { name, value } = targets.metric
    const need = metric.kind === 'count' ? metric.value / value : instances * ratio(metric.value / value)
    const what =
      metric.kind === 'count'
        ? `${name} grows by ${short(metric.value)} a second`
        : `${name} is ${short(metric.value)} on average`
    yield { need, because: `${what}, target ${value} for each instance` }
  }
}

/** A ratio near 1 becomes 1. */
function ratio(value: number): number {
  return Math.abs(value - 1) <= tolerance ? 1 : value
}

/** The number of instances that satisfies a need. An excess of a thousandth is a rounding error. */
function whole(need: number): number {
  return Math.ceil(need - 1e-3)
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

function maxBy<T>(list: readonly T[], of: (each: T) => number): T {
  return list.reduce((most, each) => (of(each) > of(most) ? each : most))
}

function rate(perSecond: number): string {
  return `${short(perSecond)} records/s`
}

function records(count: number): string {
  return `${Math.round(count)} records`
}

function duration(ms: number): string {
  return ms < 1000 ? `${Math.round(ms)} ms` : `${short(ms / 1000)} s`
}

function short(value: number): string {
  return value >= 100 ? String(Math.round(value)) : String(Number(value.toPrecision(2)))
}
