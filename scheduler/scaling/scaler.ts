/**
 * Scaler: looks once a second at the load of each function with a policy, and changes its number of instances. Runs
 * in the leader.
 *
 *   SC1. The count is in the function's document and changed by compare-and-set: a pin, a deletion, a kill or a
 *        deploy in between wins.
 *   SC2. A change is stored with its reason before it is made.
 *   SC3. A function at zero returns at the heartbeat that reports its first record.
 *   SC4. A wall clock that is set changes nothing but what schedules and forecasts say: all else goes by a steady clock.
 * Design: docs/design/0025-autoscaling.md
 * @module
 */

import type { Clock } from '../../infra/clock.ts'
import { functionOfConsumer } from '../../infra/control/index.ts'
import type { Heartbeat } from '../../infra/control/messages/heartbeat.ts'
import type { Log } from '../../infra/log.ts'
import type { ScaleLook, ScalingDocument } from '../../infra/store/index.ts'
import { partitionsDefault } from '../../sdk/manifest/manifest.ts'
import { decide, Forecast, type LoadSample, type ScalePolicy, windowMs } from '../../sdk/scaling/index.ts'
import { versionInForce, type Wanted, type WantedFunction } from '../core/index.ts'
import { steadyClock } from '../steady-clock.ts'
import { LoadMeter } from './load-meter.ts'

const lookEveryMs = 1_000
/** The latest look is stored at most this often. */
const tellEveryMs = 10_000
const changesKept = 50

export interface ScalerOptions {
  readonly clock: Clock
  readonly log: Log
  /** How long an instance of a function takes to start; undefined: not known since this leader began. */
  readonly startMs: (name: string) => number | undefined
  /** Stores what is known about a function's scaling. */
  readonly save: (name: string, document: ScalingDocument) => void
  /** Changes the wanted instances from `from` to `to`. */
  readonly scale: (name: string, from: number, to: number) => void
}

/** A function with a policy. */
interface Subject {
  readonly createdAtMs: number
  window: LoadSample[]
  changes: ScalingDocument['changes']
  latest: ScaleLook | undefined
  toldAtMs: number
  /** By the steady clock, as all times here that are compared. */
  changedAtMs: number
  forecast: Forecast | undefined
  /** The requested change, until it is visible in the store. */
  asked: { readonly from: number; readonly to: number; readonly atMs: number } | undefined
}

export class Scaler {
  readonly #options: ScalerOptions
  readonly #nowMs: () => number
  readonly #meter = new LoadMeter()
  readonly #subjects = new Map<string, Subject>()
  #kept: ReadonlyMap<string, ScalingDocument>
  #wanted: Wanted | undefined
  #cancel: () => void = () => {}

  /** @param kept Stored by earlier leaders. */
  constructor(options: ScalerOptions, kept: ReadonlyMap<string, ScalingDocument>) {
    this.#options = options
    this.#nowMs = steadyClock(options.clock)
    this.#kept = kept
  }

  want(wanted: Wanted): void {
    this.#wanted = wanted
  }

  hear(beat: Heartbeat): void {
    this.#meter.hear(beat, this.#nowMs())
    if (beat.kind !== 'runner' || beat.instances.length > 0) this.#wake(beat)
  }

  start(): void {
    this.#cancel = this.#options.clock.after(lookEveryMs, () => {
      this.look()
      this.start()
    })
  }

  close(): void {
    this.#cancel()
  }

  /** Looks at all functions with a policy. */
  look(): void {
    const ruled = this.#ruled()
    for (const name of this.#subjects.keys()) if (!ruled.has(name)) this.#subjects.delete(name)
    if (ruled.size === 0) return
    const samples = this.#measure()
    for (const [name, fn] of ruled) this.#lookAt(name, fn, samples.get(name)!)
  }

  /** Starts an instance of each function at zero that a heartbeat reports records for (SC3). */
  #wake(beat: Heartbeat): void {
    const rows = [...(beat.outputs ?? []), ...beat.instances.flatMap(({ outputs }) => outputs)]
    const waiting = new Set(
      rows
        .filter((row) => row.sent - row.acked > row.unaccounted)
        .map((row) => functionOfConsumer(row.consumer)),
    )
    const asleep = [...waiting].flatMap((name) => {
      const fn = this.#wanted?.functions.get(name)
      return fn?.document.instances === 0 && isRuled(fn) ? [[name, fn] as const] : []
    })
    if (asleep.length === 0) return
    const samples = this.#measure()
    for (const [name, fn] of asleep) this.#lookAt(name, fn, samples.get(name)!)
  }

  /** The functions that have a policy. */
  #ruled(): Map<string, WantedFunction> {
    const ruled = new Map<string, WantedFunction>()
    for (const [name, fn] of this.#wanted?.functions ?? []) if (isRuled(fn)) ruled.set(name, fn)
    return ruled
  }

  #measure(): Map<string, LoadSample> {
    const metered = [...(this.#wanted?.functions ?? [])].map(
      ([name, fn]) => [name, policyOf(fn)?.targets.metric?.name] as const,
    )
    return this.#meter.measure(new Map(metered), this.#nowMs())
  }

  #lookAt(name: string, fn: WantedFunction, seen: LoadSample): void {
    const policy = policyOf(fn)!
    const subject = this.#subjectOf(name, fn, policy)
    const nowMs = seen.atMs
    const wallMs = this.#options.clock.nowMs()
    const startMs = this.#options.startMs(name) ?? subject.latest?.load.startMs
    const load = startMs === undefined ? seen : { ...seen, startMs }
    const sample = foreseen(subject, policy, load, wallMs)
    const { instances } = fn.document
    subject.window = [...subject.window.filter(({ atMs }) => nowMs - atMs <= windowMs(policy)), sample]
    if (isUnderWay(subject, instances, nowMs)) return
    subject.asked = undefined
    const partitions = this.#partitionsOf(fn)
    const decision = decide({
      ...{ policy, window: subject.window, instances, changedAtMs: subject.changedAtMs, nowMs, wallMs },
      ...(partitions !== undefined && { partitions }),
    })
    const isPinned = fn.document.pinned === true
    const to = isPinned ? instances : decision.instances
    const because = isPinned
      ? `a person wants ${instances}; by the policy: ${decision.because}`
      : decision.because
    subject.latest = { atMs: wallMs, instances: to, because, load: { ...sample, atMs: wallMs } }
    if (to === instances) return this.#tell(name, subject, nowMs)
    subject.changes = [...subject.changes, { atMs: wallMs, from: instances, to, because }].slice(-changesKept)
    subject.changedAtMs = nowMs
    subject.asked = { from: instances, to, atMs: nowMs }
    this.#options.log.info({ function: name, from: instances, to }, `scales: ${because}`)
    this.#save(name, subject, nowMs)
    this.#options.scale(name, instances, to)
  }

  #subjectOf(name: string, fn: WantedFunction, { predict }: ScalePolicy): Subject {
    const { createdAtMs } = fn.document
    const found = this.#subjects.get(name)
    if (found?.createdAtMs === createdAtMs) {
      if (predict === undefined) found.forecast = undefined
      else if (found.forecast?.dayMs !== predict.dayMs) found.forecast = new Forecast(predict.dayMs)
      return found
    }
    const kept = this.#kept.get(name)
    const left = kept?.createdAtMs === createdAtMs ? kept : undefined
    const subject: Subject = {
      createdAtMs,
      window: [],
      changes: left?.changes ?? [],
      // Of a leader whose clock was ahead: the last change counts as made now.
      changedAtMs: Math.min(this.#nowMs(), left?.changes.at(-1)?.atMs ?? Number.NEGATIVE_INFINITY),
      latest: left?.latest,
      toldAtMs: Number.NEGATIVE_INFINITY,
      forecast: predict && new Forecast(predict.dayMs, left?.shape),
      asked: undefined,
    }
    this.#subjects.set(name, subject)
    return subject
  }

  /** The number of partitions: more instances would own nothing. */
  #partitionsOf(fn: WantedFunction): number | undefined {
    const inputs = Object.keys(versionInForce(fn)?.manifest.istreams ?? {})
    const counts = inputs.map((name) => this.#wanted?.streams.get(name)?.partitions ?? partitionsDefault)
    return counts.length === 0 ? undefined : Math.max(...counts)
  }

  #tell(name: string, subject: Subject, nowMs: number): void {
    if (nowMs - subject.toldAtMs >= tellEveryMs) this.#save(name, subject, nowMs)
  }

  #save(name: string, subject: Subject, nowMs: number): void {
    const { createdAtMs, changes, latest, forecast } = subject
    subject.toldAtMs = nowMs
    const shape = forecast?.learned
    this.#options.save(name, {
      schema: 1,
      createdAtMs,
      changes,
      ...(latest && { latest }),
      ...(shape && { shape }),
    })
  }
}

/** The policy of the version in force: a canary's does not count yet. */
function policyOf(fn: WantedFunction): ScalePolicy | undefined {
  return versionInForce(fn)?.manifest.scale
}

function isRuled(fn: WantedFunction): boolean {
  return fn.document.deleted !== true && policyOf(fn) !== undefined
}

/** Adds the expected load to a sample, if the policy predicts. */
function foreseen(
  { forecast }: Subject,
  { predict }: ScalePolicy,
  sample: LoadSample,
  wallMs: number,
): LoadSample {
  if (forecast === undefined || predict === undefined) return sample
  forecast.see(wallMs, sample.demand)
  const predicted = forecast.until(wallMs, predict.aheadMs)
  return predicted === undefined ? sample : { ...sample, predicted }
}

/** Whether a requested change is not visible yet. After a while it is assumed to have failed, and decided again. */
function isUnderWay({ asked }: Subject, instances: number, nowMs: number): boolean {
  return asked !== undefined && instances === asked.from && nowMs - asked.atMs < 5 * lookEveryMs
}
