/**
 * Simulate: applies a policy to a load, second by second, with the decision that the scheduler makes.
 *
 * The model: partitions that bring the same each, queues without a bound, instances of one rate that have them by their numbers,
 * and a fixed time until a wanted instance works.
 *
 *   SM1. No record is made or lost: arrived = processed + waiting.
 * Design: docs/design/0025-autoscaling.md
 * @module
 */
import { decide, windowMs } from './decide.ts'
import { Forecast } from './forecast.ts'
import type { LoadSample } from './need.ts'
import type { ScalePolicy } from './policy.ts'
import type { Load } from './shapes.ts'

export interface Plant {
  /** Records a second that one instance processes. */
  readonly perInstance: number
  /** The time until a wanted instance works. It is known from the beginning: some have started before. */
  readonly startMs: number
  readonly partitions: number
  /** The time of the load's first second. */
  readonly beginMs: number
}

export interface Second {
  readonly demand: number
  readonly wanted: number
  readonly working: number
  readonly backlog: number
  readonly behindMs: number
}

export interface Outcome {
  readonly seconds: readonly Second[]
  readonly changes: readonly {
    readonly second: number
    readonly from: number
    readonly to: number
    readonly because: string
  }[]
  readonly arrived: number
  readonly processed: number
  /** Seconds of all instances that were wanted, whether they worked yet or not: the cost. */
  readonly instanceSeconds: number
  /** Seconds of the instances that the load would have needed. */
  readonly neededSeconds: number
  /** Instance seconds above and below what was needed. */
  readonly overSeconds: number
  readonly underSeconds: number
  /** Seconds in which the backlog took longer than `behindMs` allows (a second if there is no such target). */
  readonly overTargetSeconds: number
  readonly behindMaxMs: number
}

/**
 * @param from The second at which the judgement begins: what was learned before is known, its cost is not counted.
 */
export function simulate(policy: ScalePolicy, load: Load, plant: Plant, from = 0): Outcome {
  const { perInstance, startMs, partitions, beginMs } = plant
  const targetMs = policy.targets.behindMs ?? 1000
  const forecast = policy.predict && new Forecast(policy.predict.dayMs)
  const seconds: Second[] = []
  const changes: { second: number; from: number; to: number; because: string }[] = []
  let window: LoadSample[] = []
  let wanted = Math.max(policy.min, Math.min(1, policy.max))
  let working = wanted
  /** When the instances that were wanted begin to work. */
  let coming: { readonly atMs: number; readonly instances: number }[] = []
  let changedAtMs = Number.NEGATIVE_INFINITY
  /** Records, by partition. */
  const waiting = new Float64Array(partitions)
  const sums = {
    arrived: 0,
    processed: 0,
    instance: 0,
    needed: 0,
    over: 0,
    under: 0,
    late: 0,
    behindMaxMs: 0,
  }

  for (const [second, demand] of load.entries()) {
    const nowMs = beginMs + second * 1000
    for (const { instances } of coming.filter(({ atMs }) => atMs <= nowMs))
      working = Math.min(wanted, working + instances)
    coming = coming.filter(({ atMs }) => atMs > nowMs)
    for (let p = 0; p < partitions; p++) waiting[p]! += demand / partitions
    const processed = work(waiting, working, perInstance)
    const backlog = waiting.reduce((sum, each) => sum + each, 0)
    sums.arrived += demand
    sums.processed += processed
    const behindMs = behindOf(waiting, working, perInstance)
    if (second >= from) {
      const needed = Math.ceil(demand / perInstance - 1e-9)
      sums.instance += wanted
      sums.needed += needed
      sums.over += Math.max(0, wanted - needed)
      sums.under += Math.max(0, needed - working)
      if (behindMs > targetMs) sums.late += 1
      sums.behindMaxMs = Math.max(sums.behindMaxMs, behindMs)
    }
    seconds.push({ demand, wanted, working, backlog, behindMs })

    forecast?.see(nowMs, demand)
    const predicted = policy.predict && forecast?.until(nowMs, policy.predict.aheadMs)
    const sample: LoadSample = {
      ...{
        atMs: nowMs,
        instances: working,
        demand,
        backlog,
        inFlight: backlog,
        processed,
      },
      ...{
        trueRate: perInstance,
        startMs,
        busy: processed / perInstance,
        cpu: processed / perInstance,
        timers: 0,
      },
      ...(predicted !== undefined && { predicted }),
    }
    window = [...window.filter(({ atMs }) => nowMs - atMs <= windowMs(policy)), sample]
    const { instances, because } = decide({
      policy,
      window,
      instances: wanted,
      changedAtMs,
      partitions,
      nowMs,
    })
    if (instances === wanted) continue
    changes.push({ second, from: wanted, to: instances, because })
    changedAtMs = nowMs
    if (instances > wanted) coming.push({ atMs: nowMs + startMs, instances: instances - wanted })
    else working = Math.min(working, instances)
    wanted = instances
  }
  return {
    ...{ seconds, changes, arrived: sums.arrived, processed: sums.processed, instanceSeconds: sums.instance },
    ...{ neededSeconds: sums.needed, overSeconds: sums.over, underSeconds: sums.under },
    ...{ overTargetSeconds: sums.late, behindMaxMs: sums.behindMaxMs },
  }
}

/** Each instance works for a second on what waits in its partitions, on all of them alike. @returns How much was processed. */
function work(waiting: Float64Array, instances: number, perInstance: number): number {
  let processed = 0
  for (let first = 0; first < Math.min(instances, waiting.length); first++) {
    const before = waitingFor(waiting, first, instances)
    const done = Math.min(perInstance, before)
    processed += done
    for (let p = first; done > 0 && p < waiting.length; p += instances) waiting[p]! *= 1 - done / before
  }
  return processed
}

/** How long what waits takes the instance that has most of it. */
function behindOf(waiting: Float64Array, instances: number, perInstance: number): number {
  if (instances === 0) return waiting.some((each) => each > 1e-6) ? Number.POSITIVE_INFINITY : 0
  let most = 0
  for (let first = 0; first < instances; first++) most = Math.max(most, waitingFor(waiting, first, instances))
  return most <= 1e-6 ? 0 : (most / perInstance) * 1000
}

/** What waits in the partitions of an instance: of three, each has every third. */
function waitingFor(waiting: Float64Array, first: number, instances: number): number {
  let sum = 0
  for (let p = first; p < waiting.length; p += instances) sum += waiting[p]!
  return sum
}
