/**
 * Need: how many instances a load needs, as a real number, and why; the greatest of what the targets of a policy and the whole
 * partitions require.
 *
 *   N1. A pure function of its arguments. A larger load never needs fewer.
 * Design: docs/design/0025-autoscaling.md
 * @module
 */
import type { ScalePolicy } from './policy.ts'

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
/** The share of its time that the load may take of the instance with the most partitions. With more it hardly catches up. */
const busiestShare = 0.95
/** Ratios nearer to 1 than this mean nothing. */
const tolerance = 0.1

export interface NeedOf {
  readonly policy: ScalePolicy
  /** The number that is wanted now. */
  readonly instances: number
  /** The partitions of its inputs; absent: it has no inputs. */
  readonly partitions?: number
}

/** What one target requires. */
export interface Need {
  /** Instances, not rounded. */
  readonly need: number
  readonly because: string
}

/**
 * The largest need of all targets, by one measurement.
 * @param room How many times the load the instances should be able to do.
 */
export function needOf(of: NeedOf, sample: LoadSample, room: number): Need {
  const { policy, instances } = of
  const needs = [...needsOf(policy.targets, sample)]
  if (needs.length === 0 && isWanted(sample))
    needs.push({ need: instances, because: 'nothing has been processed yet' })
  const { need, because } = needs.length > 0 ? maxBy(needs, (each) => each.need) : nothing
  const spread = spreadOf(of, sample, room)
  return spread.need > whole(need * room) ? spread : { need: need * room, because }
}

const nothing: Need = { need: 0, because: 'nothing comes' }

/**
 * The need according to the partitions, which are whole: of 16, one of five instances has four, a quarter of the load. It must be able
 * to keep up with that, whatever the target is and the others have to spare.
 */
function spreadOf({ partitions }: NeedOf, sample: LoadSample, room: number): Need {
  const { demand, trueRate, predicted = 0 } = sample
  const load = Math.max(demand, predicted)
  if (partitions === undefined || trueRate === undefined || load === 0) return nothing
  const each = Math.max(1, Math.floor((partitions * trueRate * busiestShare) / (load * room)))
  return {
    need: Math.ceil(partitions / each),
    because: `${rate(load)} come, and an instance does ${rate(trueRate)}, enough for ${each} of ${partitions} partitions`,
  }
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
export function whole(need: number): number {
  return Math.ceil(need - 1e-3)
}

/** Whether there is anything to do. */
export function isWanted({ backlog, inFlight, demand, predicted = 0 }: LoadSample): boolean {
  return backlog > 0 || inFlight > 0 || demand > 0 || predicted >= 1
}

export function maxBy<T>(list: readonly T[], of: (each: T) => number): T {
  return list.reduce((most, each) => (of(each) > of(most) ? each : most))
}

function rate(perSecond: number): string {
  return `${short(perSecond)} records/s`
}

function records(count: number): string {
  return `${Math.round(count)} records`
}

export function duration(ms: number): string {
  return ms < 1000 ? `${Math.round(ms)} ms` : `${short(ms / 1000)} s`
}

function short(value: number): string {
  return value >= 100 ? String(Math.round(value)) : String(Number(value.toPrecision(2)))
}
