/**
 * Reconciler: asks the master about every task that it has not mentioned in this subscription, repeatedly with
 * back-off, until the state of each is settled (E3 of engine.ts). Then, at intervals, it asks for all tasks that the master knows,
 * to find unknown ones.
 *
 * An answer that says only that the master has lost sight of a task settles nothing: its agent may be about to
 * register again.
 *
 * @see https://mesos.apache.org/documentation/latest/reconciliation/
 * @module
 */
import type { Clock } from '../../infra/clock.ts'
import { backoffMs } from '../backoff.ts'
import type { TaskRef } from '../engine.ts'

const baseMs = 1_000
const maxMs = 60_000
const implicitMs = 600_000

export interface ReconcilerOptions {
  readonly clock: Clock
  readonly random: () => number
  readonly knownTasks: () => readonly TaskRef[]
  /** Asks for these tasks, or for all if the list is empty. */
  readonly ask: (tasks: readonly TaskRef[]) => void
}

export class Reconciler {
  readonly #options: ReconcilerOptions
  #unanswered: Set<string>
  #attempt = 0
  #stopAsking: () => void = () => {}
  #stopAskingForAll: () => void = () => {}
  #settled = false

  constructor(options: ReconcilerOptions) {
    this.#options = options
    this.#unanswered = new Set(options.knownTasks().map((task) => task.taskId))
    this.#askAgain()
    if (!this.#settled) this.#askForAllLater()
  }

  /** Notes that the state of a task is known. */
  settled(taskId: string): void {
    if (this.#unanswered.delete(taskId) && this.#unanswered.size === 0) this.#settle()
  }

  stop(): void {
    this.#stopAsking()
    this.#stopAskingForAll()
  }

  #askAgain(): void {
    const asked = this.#options.knownTasks().filter((task) => this.#unanswered.has(task.taskId))
    if (asked.length === 0) return this.#settle()
    this.#options.ask(asked)
    const delayMs = backoffMs(this.#attempt++, baseMs, maxMs, this.#options.random())
    this.#stopAsking = this.#options.clock.after(delayMs, () => this.#askAgain())
  }

  #settle(): void {
    this.#stopAsking()
    if (this.#settled) return
    this.#settled = true
    this.#askForAll()
  }

  #askForAll(): void {
    this.#options.ask([])
    this.#askForAllLater()
  }

  #askForAllLater(): void {
    this.#stopAskingForAll()
    this.#stopAskingForAll = this.#options.clock.after(implicitMs, () => this.#askForAll())
  }
}
