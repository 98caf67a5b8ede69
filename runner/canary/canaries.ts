/**
 * Canaries: versions that have a part of the keys in instances at work.
 *
 *     preparing → working → ended: it has taken over (swaps.ts), or is wanted no more
 *         └──────────┴────→ failed, until the assignment names no canary, or another one
 *
 *   CN1. What the newest assignment names is there; what an earlier one named goes, also the one with which the instance was made.
 *   CN2. What is measured is of the step that is reported with it.
 *   CN3. One that exceeded its time limit while its process had no CPU has not failed: it is made again, a few times (RE3 of
 *        reactions.ts says the same of a record).
 * Design: docs/design/0026-rollouts.md
 * @module
 */
import type { Clock } from '../../infra/clock.ts'
import { versionBeside } from '../../infra/control/index.ts'
import type { CanaryAssignment, FunctionAssignment } from '../../infra/control/messages/assignment.ts'
import { policyOf } from '../../sdk/manifest/policy.ts'
import { type CanaryReport, noEvidence } from '../../sdk/versions/canary.ts'
import type { Worker } from '../instance/worker.ts'
import { isStarved, type SingleIsolate, starvedAttemptsMax } from '../isolate/index.ts'
import type { Shadow } from '../shadow/shadow.ts'
import { rehearse } from '../succession/rehearsal.ts'
import { Divergence, type DivergenceOptions } from './divergence.ts'
import { Measures } from './measures.ts'
import { Split } from './split.ts'
import { measuredStep, type Step } from './step.ts'

/** How long a batch is waited for, to rehearse on. */
const sampleMs = 100

export interface CanariesOptions {
  readonly clock: Clock
  /** Makes the canary's isolate beside the worker's, initialised and on trial. */
  readonly make: (fn: FunctionAssignment, worker: Worker) => Promise<SingleIsolate>
  /** Makes it a shadow of the worker's version, to be told of calls. */
  readonly compare: (fn: FunctionAssignment, worker: Worker, options: DivergenceOptions) => Shadow
  readonly onChange: () => void
  readonly log: (fn: FunctionAssignment, id: string, level: 'info' | 'warn', message: string) => void
}

interface Canary {
  wanted: CanaryAssignment
  state: CanaryReport['state'] | 'ended'
  reason?: string
  split?: Split
  measures: Measures
  divergence?: Divergence | undefined
  /** How often it was made again (CN3). */
  readonly remade: number
}

export class Canaries {
  readonly #options: CanariesOptions
  readonly #canaries = new Map<string, Canary>()
  /** By instance: what is under way. */
  readonly #underWay = new Map<string, Promise<void>>()

  constructor(options: CanariesOptions) {
    this.#options = options
  }

  /** The instance is to have this canary, or none. */
  want(id: string, worker: Worker, fn: FunctionAssignment): void {
    const wanted = fn.canary
    const present = this.#canaries.get(id)
    if (present !== undefined && present.wanted.version === wanted?.version) {
      if (present.wanted.step !== wanted.step) this.#step(id, worker, present, wanted, fn)
      return
    }
    if (present === undefined) this.#settle(id, worker, fn)
    else {
      // What is promoted takes over by itself (swaps.ts); until then its keys stay, and on trial both stand by.
      if (wanted === undefined && fn.version === present.wanted.version) {
        present.state = 'ended'
        present.divergence?.end()
        return
      }
      this.#canaries.delete(id)
      this.#then(id, () => this.#end(id, worker, fn, present))
    }
    if (wanted === undefined) return
    this.#prepare(id, worker, fn, { wanted, measures: this.#measuresOf(wanted, fn), remade: 0 })
  }

  /** One that the instance was made for may have gone meanwhile: it was at work when the state was stored, and is nowhere now. */
  #settle(id: string, worker: Worker, { version, canary }: FunctionAssignment): void {
    const { canary: awaited } = worker.running.assignment
    if (awaited === undefined || awaited.version === canary?.version || awaited.version === version) return
    this.#then(id, () => worker.succession.settle().catch(() => undefined)) // it has ended
  }

  /** The instance has gone. */
  forget(id: string): void {
    this.#canaries.get(id)?.divergence?.end()
    this.#canaries.delete(id)
  }

  report(id: string): { readonly canary?: CanaryReport } {
    const canary = this.#canaries.get(id)
    if (canary === undefined || canary.state === 'ended') return {}
    const { wanted, state, reason, measures, divergence, remade } = canary
    const diff = divergence?.evidence()
    const measured = state === 'preparing' && remade === 0 ? noEvidence() : measures.evidence()
    const evidence = { ...measured, ...(diff === undefined ? {} : { diff }) }
    const { version, step } = wanted
    return { canary: { version, step, state, ...(reason === undefined ? {} : { reason }), evidence } }
  }

  #prepare(id: string, worker: Worker, fn: FunctionAssignment, of: Omit<Canary, 'state'>): void {
    const canary: Canary = { ...of, state: 'preparing' }
    this.#canaries.set(id, canary)
    this.#then(id, () => this.#begin(id, worker, fn, canary))
  }

  /** Its isolate has ended, at work or in its rehearsal. */
  #ended(id: string, worker: Worker, fn: FunctionAssignment, canary: Canary, why: Error | undefined): void {
    const its = versionBeside(fn, canary.wanted)
    const { wanted, measures, remade } = canary
    const isAgain =
      this.#canaries.get(id) === canary && (canary.state === 'preparing' || canary.state === 'working')
    if (isAgain && why !== undefined && isStarved(why) && remade < starvedAttemptsMax) {
      this.#options.log(its, id, 'warn', `version ${its.version} is made again: ${why.message}`)
      this.#then(id, async () => {
        if (canary.split !== undefined) await this.#end(id, worker, fn, canary)
      })
      const { streams } = worker.running.assignment // as they were last told
      this.#prepare(id, worker, { ...fn, streams }, { wanted, measures, remade: remade + 1 })
    } else this.#failed(id, its, canary, why?.message ?? 'its isolate has ended between two batches')
    this.#options.onChange()
  }

  #then(id: string, run: () => Promise<void>): void {
    const underWay = (this.#underWay.get(id) ?? Promise.resolve()).then(run).finally(() => {
      if (this.#underWay.get(id) === underWay) this.#underWay.delete(id)
      this.#options.onChange()
    })
    this.#underWay.set(id, underWay)
  }

  #measuresOf({ rules, manifest }: CanaryAssignment, before: FunctionAssignment): Measures {
    const streams = { canary: manifest.ostreams, control: before.manifest.ostreams }
    return new Measures(rules.maxSlowdown, streams, () => this.#options.clock.monotonicMs())
  }

  #step(id: string, worker: Worker, canary: Canary, wanted: CanaryAssignment, fn: FunctionAssignment): void {
    canary.wanted = wanted
    canary.measures = this.#measuresOf(wanted, fn)
    if (canary.split !== undefined) this.#compare(id, worker, canary, fn)
    canary.split?.step(this.#stepOf(canary))
    this.#options.onChange()
  }

  /** With the version before, by what is in the outputs, if there is a rule for it. */
  #compare(id: string, worker: Worker, canary: Canary, fn: FunctionAssignment): void {
    canary.divergence?.end()
    canary.divergence = undefined
    const { rules } = canary.wanted
    if (rules.maxDiff === undefined || canary.state !== 'working') return
    const its = versionBeside(fn, canary.wanted)
    canary.divergence = new Divergence(
      rules,
      (options) => this.#options.compare(its, worker, options),
      (why) => {
        if (canary.state !== 'working' || worker.running.isolate.isEnded) return
        const what = 'compared with the version before (rollout.canary.maxDiff)'
        this.#failed(id, its, canary, `it could not be ${what}: ${why}`)
        this.#options.onChange()
      },
    )
  }

  async #begin(id: string, worker: Worker, fn: FunctionAssignment, canary: Canary): Promise<void> {
    const { make, clock, log } = this.#options
    const isWanted = (): boolean => this.#canaries.get(id) === canary && canary.state !== 'ended'
    if (!isWanted()) return
    const its = versionBeside(fn, canary.wanted)
    let isolate: SingleIsolate | undefined
    try {
      isolate = await make(its, worker)
      const sample = await worker.sampler.next(sampleMs)
      if (sample !== undefined) await rehearse(isolate, sample, clock.nowMs())
      await isolate.expect(worker.running.isolate.holder)
      if (!isWanted()) return isolate.kill()
      const fresh = isolate
      canary.split = await worker.succession.split((old) => {
        if (!isWanted()) throw new Error('it has been promoted, or taken away')
        return this.#splitOf(id, worker, fn, canary, old, fresh)
      })
      if (canary.state === 'preparing') canary.state = 'working'
      this.#compare(id, worker, canary, fn)
      canary.split.step(this.#stepOf(canary))
      log(its, id, 'info', `version ${its.version} has ${canary.wanted.percent} % of the keys`)
    } catch (error) {
      isolate?.kill()
      if (isWanted() && worker.report().state === 'running')
        this.#ended(id, worker, fn, canary, error as Error)
      else canary.state = 'ended' // and nobody's fault is in that
    }
  }

  async #end(id: string, worker: Worker, fn: FunctionAssignment, canary: Canary): Promise<void> {
    const { split, wanted, divergence } = canary
    canary.state = 'ended'
    divergence?.end()
    if (split === undefined) return await worker.succession.settle().catch(() => undefined) // it has ended
    if (worker.running.isolate !== split) return
    try {
      await worker.succession.unsplit(split)
      this.#options.log(fn, id, 'info', `version ${wanted.version} has no keys any more`)
    } catch {
      // The instance ends, and the canary with it.
    }
    await split.canary.destroy().catch(() => undefined)
  }

  #splitOf(
    id: string,
    worker: Worker,
    fn: FunctionAssignment,
    canary: Canary,
    old: SingleIsolate,
    fresh: SingleIsolate,
  ): Split {
    const { clock } = this.#options
    return new Split({
      old,
      canary: fresh,
      step: this.#stepOf(canary),
      keepsOrder: policyOf(fn.manifest.onError).keepsOrder,
      nowMs: () => clock.monotonicMs(),
      onCanaryEnded: (why) => {
        if (!old.isEnded) this.#ended(id, worker, fn, canary, why) // or so does the instance
      },
    })
  }

  /** The step that is wanted now, with the measures that are reported now (CN2). */
  #stepOf({ wanted, measures, divergence }: Canary): Step {
    return measuredStep(wanted, measures, divergence?.witness)
  }

  #failed(id: string, fn: FunctionAssignment, canary: Canary, reason: string): void {
    canary.state = 'failed'
    canary.reason = reason
    if (this.#canaries.get(id) === canary)
      this.#options.log(fn, id, 'warn', `version ${fn.version} has failed as a canary: ${reason}`)
  }
}
