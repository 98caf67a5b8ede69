/**
 * Instances: those of the runner, by the newest assignment: being made, at work, or departed.
 *
 *     wanted → being made → at work → stopped (the assignment lacks it) or failed (by its own fault) → departed
 *
 *   HI1. Assignments are applied one after another, in the order of their generations.
 *   HI2. A generation is in force when the instances that it lacks have been released.
 * Design: docs/design/0009-packing.md
 * @module
 */
import type { Clock } from '../../infra/clock.ts'
import {
  type Assignment,
  assignedVersion,
  type InstanceAssignment,
} from '../../infra/control/messages/assignment.ts'
import type { InstanceReport } from '../../infra/control/messages/heartbeat.ts'
import type { Worker } from '../instance/worker.ts'
import { type Ending, startFailure } from '../process/ending.ts'
import { Departed, neverRan } from './departed.ts'
import type { Maker } from './maker.ts'
import type { OtherVersions } from './other-versions.ts'
import type { Sources } from './sources.ts'

export interface InstancesOptions {
  readonly clock: Clock
  readonly sources: Sources
  readonly maker: Maker
  readonly others: OtherVersions
  /** Those at work, by id; the memory of the process is accounted by them. */
  readonly workers: Map<string, Worker>
  /** Whether the runner is ending: then nothing is assigned any more. */
  readonly isEnding: () => boolean
  /** Called when there is something new to report. */
  readonly onChange: () => void
  /** Called when an instance could not be made. */
  readonly onFailure: (instance: InstanceAssignment, ending: Ending) => void
}

export class Instances {
  readonly #options: InstancesOptions
  readonly #workers: Map<string, Worker>
  /** Instances being made: by id, the only start that counts. */
  readonly #starts = new Map<string, Promise<void>>()
  readonly #departed: Departed
  #assignment: Assignment | undefined
  #generationInForce = 0
  /** The assignments so far, applied in turn (HI1). */
  #applied: Promise<void> = Promise.resolve()

  constructor(options: InstancesOptions) {
    this.#options = options
    this.#workers = options.workers
    this.#departed = new Departed(options.clock)
  }

  /** The newest one that was applied, or is being applied. */
  get assignment(): Assignment | undefined {
    return this.#assignment
  }

  /** HI2. */
  get generationInForce(): number {
    return this.#generationInForce
  }

  /** Whether none is being made. */
  get isSettled(): boolean {
    return this.#generationInForce > 0 && this.#starts.size === 0
  }

  /** @throws What applying it, or one before, threw. */
  assign(assignment: Assignment): Promise<void> {
    this.#applied = this.#applied.then(() => this.#apply(assignment))
    return this.#applied
  }

  /** Drains all. */
  async stop(): Promise<void> {
    // First those that work, since an assignment being applied may wait for them; then those started meanwhile.
    await Promise.allSettled([...this.#workers.values()].map((worker) => worker.stop()))
    await this.#applied.catch(() => undefined)
    await Promise.allSettled(this.#starts.values())
    await Promise.allSettled([...this.#workers.values()].map((worker) => worker.stop()))
  }

  /** Drains those at work, but for one. */
  async stopNeighbours(brokenId: string | undefined): Promise<void> {
    const neighbours = [...this.#workers].filter(([id]) => id !== brokenId)
    await Promise.allSettled(neighbours.map(([, worker]) => worker.stop()))
  }

  /** The version that an instance works with; if it does not work yet, the one that it was to begin with. */
  versionOf({ id, function: name, version }: InstanceAssignment): number {
    const running = this.#workers.get(id)?.running.assignment.version
    return running ?? version ?? this.#assignment?.functions[name]?.version ?? 0
  }

  /** Takes out an instance that failed; the others go on. */
  fail(instance: InstanceAssignment, ending: Ending): void {
    const { id } = instance
    const report = this.#workers.get(id)?.report() ?? neverRan(instance, this.versionOf(instance))
    this.#workers.delete(id)
    this.#options.others.forget(id)
    this.#departed.add({ ...report, state: 'failed', exit: { ...ending } })
  }

  reports(): InstanceReport[] {
    const { others } = this.#options
    const atWork = [...this.#workers].map(([id, worker]) => ({
      ...worker.report(),
      ...others.report(id, worker),
    }))
    return [...atWork, ...this.#departed.reports()]
  }

  /** Releases the bundles and assets that no version needs. */
  keepSources(): void {
    const atWork = [...this.#workers.values()].map(({ running }) => running.assignment)
    const { functions = {}, others = {} } = this.#assignment ?? {}
    this.#options.sources.keepOnly([...Object.values(functions), ...Object.values(others)], atWork)
  }

  async #apply(assignment: Assignment): Promise<void> {
    if (this.#options.isEnding()) return
    this.#assignment = assignment
    const wanted = new Map(assignment.instances.map((instance) => [instance.id, instance]))
    for (const id of [...this.#starts.keys()]) if (!wanted.has(id)) this.#starts.delete(id)
    this.#departed.forget((id) => !wanted.has(id))
    this.keepSources()
    await Promise.all(
      [...this.#workers].map(([id, worker]) => {
        const instance = wanted.get(id)
        if (instance === undefined) return this.#stopOne(id, worker)
        return worker.reassign(assignedVersion(assignment, instance), instance)
      }),
    )
    this.#wantOthers()
    for (const instance of assignment.instances) this.#startOne(assignment, instance)
    this.#generationInForce = assignment.generation
    this.#options.onChange()
  }

  #wantOthers(): void {
    for (const instance of this.#assignment?.instances ?? []) {
      const worker = this.#workers.get(instance.id)
      if (worker === undefined) continue
      this.#options.others.want(instance.id, worker, assignedVersion(this.#assignment!, instance))
    }
  }

  async #stopOne(id: string, worker: Worker): Promise<void> {
    this.#options.others.forget(id)
    await worker.stop()
    this.#workers.delete(id)
    this.#departed.add({ ...worker.report(), state: 'stopped' })
  }

  #startOne(assignment: Assignment, instance: InstanceAssignment): void {
    const { id } = instance
    if (this.#workers.has(id) || this.#starts.has(id) || this.#departed.hasFailed(id)) return
    const fn = assignedVersion(assignment, instance)
    if (this.#departed.refuses(instance, fn.version)) return
    const { maker, onFailure, onChange } = this.#options
    const isWanted = (): boolean => this.#starts.get(id) === start
    const start: Promise<void> = maker
      .make(fn, instance, isWanted, (worker) => this.#begin(id, worker))
      .catch((error: unknown) => {
        if (isWanted()) onFailure(instance, startFailure(error))
      })
      .finally(() => {
        if (isWanted()) this.#starts.delete(id)
        onChange()
      })
    this.#starts.set(id, start)
  }

  #begin(id: string, worker: Worker): void {
    this.#workers.set(id, worker)
    worker.start()
    const instance = this.#assignment?.instances.find((one) => one.id === id)
    // Its format may have been settled while it was made.
    if (instance !== undefined)
      void worker.succession
        .describeFormat(assignedVersion(this.#assignment!, instance))
        .catch(() => undefined) // it has ended
    this.#wantOthers()
  }
}
