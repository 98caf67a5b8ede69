/**
 * LoadMeter: the load of each function, from the heartbeats of the processes that run it and that send to it.
 *
 *   LM1. A waiting record is counted once: at the function that it waits for; or, if that is blocked by functions
 *        behind it, at the slowest of them.
 * Design: docs/design/0025-autoscaling.md
 * @module
 */
import { type InstanceRates, type OutputRates, Series } from '../../infra/control/index.ts'
import type { Heartbeat } from '../../infra/control/messages/heartbeat.ts'
import type { LoadSample } from '../../sdk/scaling/index.ts'
import { bounds } from '../../sdk/wire/user-metrics.ts'

/** A process that was silent for this long is no longer counted. */
const silentMs = 10_000
/** The share of its time above which an instance counts as blocked: its backlog is then due to others. */
const blockedShare = 0.2
/** The share of its time below which an instance counts as idle: records before it do not wait for it. */
const busyShare = 0.5
/** Less work than this does not show what is possible. */
const workSecondsMin = 0.02
/**
 * By how much the best known rate falls each second. An instance can do what it once did, but under little load a
 * record takes longer than among many, and a busy machine slows everything for a while.
 */
const forgottenASecond = 0.02

/** The functions to measure, and for each the metric that counts, if any. */
export type Metered = ReadonlyMap<string, string | undefined>

interface Load {
  readonly instances: readonly InstanceRates[]
  /** The rates of its senders. */
  readonly sources: readonly OutputRates[]
  demand: number
  backlog: number
}

export class LoadMeter {
  readonly #series = new Map<string, Series>()
  readonly #trueRates = new Map<string, { readonly rate: number; readonly atMs: number }>()

  hear(beat: Heartbeat, nowMs: number): void {
    if (beat.state === 'stopped') return void this.#series.delete(beat.id)
    const series = this.#series.get(beat.id) ?? new Series()
    this.#series.set(beat.id, series)
    series.hear(beat, nowMs)
  }

  /** Measures each function. */
  measure(functions: Metered, nowMs: number): Map<string, LoadSample> {
    for (const [id, { heardAtMs }] of this.#series) if (nowMs - heardAtMs > silentMs) this.#series.delete(id)
    for (const name of this.#trueRates.keys()) if (!functions.has(name)) this.#trueRates.delete(name)
    const all = [...this.#series.values()]
    const instances = Map.groupBy(
      all.flatMap((series) => [...series.instances((name) => functions.get(name))]),
      ({ report }) => report.function,
    )
    const sources = Map.groupBy(
      all.flatMap((series) => [...series.outputs()]),
      ({ consumer }) => consumer,
    )
    const loads = new Map<string, Load>()
    for (const name of functions.keys())
      loads.set(name, loadOf(instances.get(name) ?? [], sources.get(name) ?? []))
    passOn(loads)
    return new Map([...loads].map(([name, load]) => [name, this.#sample(name, load, nowMs)]))
  }

  #sample(name: string, load: Load, nowMs: number): LoadSample {
    const { instances, demand, backlog } = load
    const sum = (of: (each: InstanceRates) => number): number =>
      instances.reduce((all, each) => all + of(each), 0)
    const workSeconds = sum(({ busy, seconds }) => busy * seconds)
    const records = sum(({ recordsIn, seconds }) => recordsIn * seconds)
    const trueRate = this.#trueRate(name, workSeconds >= workSecondsMin ? records / workSeconds : 0, nowMs)
    const p99Ms = p99Of(instances)
    const [counted, summed] = [sum((each) => each.counted), sum((each) => each.summed)]
    return {
      atMs: nowMs,
      instances: instances.length,
      demand,
      backlog: waitsForIt(instances) ? backlog : 0,
      inFlight: inFlightOf(load.sources),
      processed: sum(({ recordsIn }) => recordsIn),
      ...(trueRate > 0 && { trueRate }),
      busy: sum(({ busy }) => busy),
      cpu: sum(({ cpu }) => cpu),
      ...(p99Ms !== undefined && { p99Ms }),
      ...(counted > 0
        ? { metric: { kind: 'observe', value: summed / counted } }
        : summed > 0 && { metric: { kind: 'count', value: summed } }),
      timers: sum(({ report }) => report.timers ?? 0),
    }
  }

  /** The better of the present rate and the remembered one. */
  #trueRate(name: string, seen: number, nowMs: number): number {
    const known = this.#trueRates.get(name)
    const elapsedS = known === undefined ? 0 : (nowMs - known.atMs) / 1000
    const rate = Math.max(seen, (known?.rate ?? 0) * (1 - forgottenASecond) ** elapsedS)
    if (seen > 0) this.#trueRates.set(name, { rate, atMs: nowMs })
    return rate
  }
}

/** The load by the senders' accounts: the owners' accounts also include shares that have moved. */
function loadOf(instances: readonly InstanceRates[], sources: readonly OutputRates[]): Load {
  const demand = sources.reduce((sum, each) => sum + each.sent, 0)
  return { instances, sources, demand, backlog: inFlightOf(sources) }
}

function inFlightOf(sources: readonly OutputRates[]): number {
  return sources.reduce((sum, each) => sum + each.inFlight, 0)
}

/** Whether the function's backlog waits for it: not if all its instances are idle. */
function waitsForIt(instances: readonly InstanceRates[]): boolean {
  const seen = instances.filter(({ seconds }) => seconds > 0.5)
  return seen.length === 0 || seen.some(({ busy }) => busy >= busyShare)
}

/** Passes the backlog of blocked functions on to those behind them, along each chain (LM1). */
function passOn(loads: ReadonlyMap<string, Load>): void {
  const done = new Set<string>()
  const settle = (name: string): void => {
    if (done.has(name)) return
    done.add(name)
    const load = loads.get(name)!
    for (const { function: from } of load.sources) if (from !== undefined && loads.has(from)) settle(from)
    if (!isBlocked(load)) return
    const slow = slowestBehind(name, loads)
    const processed = load.instances.reduce((sum, each) => sum + each.recordsIn, 0)
    if (slow !== undefined) {
      const made = processed > 0 ? slow.sent / processed : 1
      slow.load.backlog += load.backlog * made
      slow.load.demand += Math.max(0, load.demand - processed) * made
    }
    load.demand = Math.min(load.demand, processed)
    load.backlog = 0
  }
  for (const name of loads.keys()) settle(name)
}

function isBlocked({ instances }: Load): boolean {
  const seconds = instances.reduce((sum, each) => sum + each.seconds, 0)
  const blocked = instances.reduce((sum, each) => sum + each.blocked * each.seconds, 0)
  return seconds > 0 && blocked / seconds > blockedShare
}

/** Of the functions that it sends to, the one with the most waiting records from it. */
function slowestBehind(name: string, loads: ReadonlyMap<string, Load>) {
  let slowest: { readonly load: Load; readonly inFlight: number; readonly sent: number } | undefined
  for (const load of loads.values()) {
    const mine = load.sources.filter((source) => source.function === name)
    const inFlight = mine.reduce((sum, each) => sum + each.inFlight, 0)
    const sent = mine.reduce((sum, each) => sum + each.sent, 0)
    if (mine.length > 0 && inFlight > (slowest?.inFlight ?? 0)) slowest = { load, inFlight, sent }
  }
  return slowest
}

function p99Of(instances: readonly InstanceRates[]): number | undefined {
  const counts = new Map<number, number>()
  for (const { calls } of instances)
    for (const [bucket, records] of calls) counts.set(bucket, (counts.get(bucket) ?? 0) + records)
  const total = [...counts.values()].reduce((sum, records) => sum + records, 0)
  if (total <= 0) return undefined
  let left = total * 0.01
  for (const bucket of [...counts.keys()].sort((a, b) => b - a)) {
    left -= counts.get(bucket)!
    if (left < 0) return bounds[bucket] ?? bounds.at(-1)!
  }
  return bounds[0]
}
