/**
 * Shadows: the shadows beside the instances of this runner: versions that get the same records, and whose outputs are discarded.
 *
 *     preparing → working → gone, when the assignment names it no more
 *         └──────────┴────→ failed, until the assignment names another one, or none
 *
 *   SS1. An instance has the shadow that its newest assignment names.
 *   SS2. A shadow that goes, or fails, leaves the instance as it was before.
 * Design: docs/design/0030-shadow.md
 * @module
 */
import type { NatsConnection } from '../../infra/bus/index.ts'
import { type Clock, sleep } from '../../infra/clock.ts'
import { versionBeside } from '../../infra/control/index.ts'
import type { FunctionAssignment, ShadowAssignment } from '../../infra/control/messages/assignment.ts'
import type { ShadowReport } from '../../sdk/versions/shadow.ts'
import type { Worker } from '../instance/worker.ts'
import { type IsolateOptions, tableOf } from '../isolate/index.ts'
import type { Memory } from '../process/memory.ts'
import { processMs } from '../usage/usage.ts'
import { DifferenceBox } from './difference-box.ts'
import { Findings } from './findings.ts'
import { Mirror } from './mirror.ts'
import { Shadow, type ShadowOptions } from './shadow.ts'
import { Shadowed } from './shadowed.ts'

/** The part of the process's memory bound up to which shadows may fill it. */
const memoryShare = 7 / 8
/** How often a shadow is put beside an instance that has a canary or a version on trial, and the pause in between. */
const attempts = 100
const attemptMs = 100

export interface ShadowsOptions {
  readonly clock: Clock
  readonly namespace: string
  /** Opens the connection for storing differences, on first use. */
  readonly connect: () => Promise<NatsConnection>
  /** The memory of the process. */
  readonly memory: Pick<Memory, 'roomFor'>
  /** The options for an isolate of a version beside a worker, without state. */
  readonly isolateOf: (fn: FunctionAssignment, worker: Worker) => Promise<IsolateOptions>
  readonly onChange: () => void
  readonly log: (fn: FunctionAssignment, id: string, level: 'info' | 'warn', message: string) => void
}

interface Beside {
  readonly wanted: ShadowAssignment
  /** The shadow's own assignment. */
  readonly its: FunctionAssignment
  readonly findings: Findings
  /** Why it has failed. */
  reason?: string
  shadow?: Shadow
  shadowed?: Shadowed
}

export class Shadows {
  readonly #options: ShadowsOptions
  readonly #differences: DifferenceBox
  readonly #beside = new Map<string, Beside>()
  /** By instance: the start or end under way; the next one waits for it. */
  readonly #underWay = new Map<string, Promise<void>>()

  constructor(options: ShadowsOptions) {
    this.#options = options
    this.#differences = new DifferenceBox(options)
  }

  /** Sets the shadow that the instance should have, or none. */
  want(id: string, worker: Worker, fn: FunctionAssignment): void {
    const wanted = fn.shadow
    const present = this.#beside.get(id)
    if (present?.wanted.version === wanted?.version) return
    if (present !== undefined) {
      this.#beside.delete(id)
      this.#then(id, () => this.#end(worker, present))
    }
    if (wanted === undefined) return
    const its = versionBeside(fn, wanted)
    const findings = new Findings({
      listedMax: wanted.rules.differences,
      list: (difference) => this.#differences.list(its, id, difference),
    })
    const beside: Beside = { wanted, its, findings }
    this.#beside.set(id, beside)
    this.#then(id, () => this.#begin(id, worker, beside))
  }

  /** Ends the shadow of an instance that has ended. */
  forget(id: string): void {
    this.#beside.get(id)?.shadow?.end()
    this.#beside.delete(id)
  }

  /** Resolves when all differences were stored, or could not be. */
  close(): Promise<void> {
    return this.#differences.close()
  }

  report(id: string): { readonly shadow?: ShadowReport } {
    const beside = this.#beside.get(id)
    if (beside === undefined) return {}
    const { wanted, reason, shadowed, findings } = beside
    const { version } = wanted
    const evidence = findings.evidence()
    if (reason !== undefined) return { shadow: { version, state: 'failed', reason, evidence } }
    return { shadow: { version, state: shadowed === undefined ? 'preparing' : 'working', evidence } }
  }

  #then(id: string, run: () => Promise<void>): void {
    const underWay = (this.#underWay.get(id) ?? Promise.resolve()).then(run).finally(() => {
      if (this.#underWay.get(id) === underWay) this.#underWay.delete(id)
      this.#options.onChange()
    })
    this.#underWay.set(id, underWay)
  }

  async #begin(id: string, worker: Worker, beside: Beside): Promise<void> {
    const { log } = this.#options
    const isWanted = (): boolean => this.#beside.get(id) === beside
    if (!isWanted()) return
    try {
      const shadow = this.#newShadow(id, worker, beside)
      beside.shadow = shadow
      await shadow.begin()
      if (!isWanted()) return shadow.end()
      beside.shadowed = await this.#put(worker, shadow, isWanted)
      log(beside.its, id, 'info', `version ${beside.its.version} is given copies of all records`)
    } catch (error) {
      beside.shadow?.end()
      if (worker.report().state === 'running') this.#failed(id, worker, beside, (error as Error).message)
    }
  }

  /** Puts it beside the instance as soon as no version is on trial there and no canary is left. */
  async #put(worker: Worker, shadow: Shadow, isWanted: () => boolean): Promise<Shadowed> {
    const { clock } = this.#options
    for (let left = attempts; ; left--) {
      try {
        return await worker.succession.split((old) => {
          const { isolate } = worker.running
          if (isolate !== old && !(isolate instanceof Shadowed))
            throw new Error('another version is beside it')
          return new Shadowed(old, shadow, () => clock.monotonicMs())
        })
      } catch (error) {
        if (left === 0 || !isWanted()) throw error
      }
      await sleep(clock, attemptMs)
    }
  }

  async #end(worker: Worker, { shadow, shadowed }: Beside): Promise<void> {
    shadow?.end()
    if (shadowed === undefined) return
    shadowed.release()
    // If the instance ends, its shadow does so too.
    await worker.succession.unsplit(shadowed).catch(() => undefined)
  }

  #newShadow(id: string, worker: Worker, beside: Beside): Shadow {
    const { its, findings, wanted } = beside
    return shadowBeside(this.#options, worker, {
      ...{ its, findings, rules: wanted.rules, setting: 'rollout.shadow' },
      onEnded: (why) => {
        this.#failed(id, worker, beside, why)
        this.#then(id, () => this.#end(worker, beside))
      },
    })
  }

  #failed(id: string, worker: Worker, beside: Beside, reason: string): void {
    beside.reason ??= reason
    if (this.#beside.get(id) !== beside) return
    const { version } = beside.its
    this.#options.log(
      worker.running.assignment,
      id,
      'warn',
      `the shadow of version ${version} is over: ${reason}`,
    )
    this.#options.onChange()
  }
}

/** Makes a shadow of the worker's version, which is not told of calls yet. @param its The shadow's own assignment. */
export function shadowBeside(
  { clock, memory: all, isolateOf }: Pick<ShadowsOptions, 'clock' | 'memory' | 'isolateOf'>,
  worker: Worker,
  {
    its,
    ...own
  }: Pick<ShadowOptions, 'rules' | 'setting' | 'findings' | 'onEnded'> & {
    readonly its: FunctionAssignment
  },
): Shadow {
  const memory = all.roomFor(its, memoryShare)
  return new Shadow(worker.running.isolate.holder, {
    ...{ clock, memory, processMs, ...own },
    make: async (seed) => {
      const replaces = worker.running.assignment.version
      const options = { ...(await isolateOf(its, worker)), seed, replaces, memory }
      return await Mirror.create(
        { ...options, tapBytes: 0, log: () => undefined },
        tableOf(its),
        own.findings,
      )
    },
    outputs: () => tableOf(worker.running.assignment),
  })
}
