/**
 * Reconciler: asks the master for every task that it has not spoken of since the subscription began, again and again
 * with back-off, until each is answered (E3); and now and then for all it knows, so that a stranger is seen.
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
  /** Asks for these, or for all if there are none. */
  readonly ask: (tasks: readonly TaskRef[]) => void
}

export class Reconciler {
  readonly #options: ReconcilerOptions
  #unanswered: Set<string>
  #attempt = 0
  #stopAsking: () => void = () => {}
  #stopAskingForAll: () => void = () => {}

  constructor(options: ReconcilerOptions) {
    this.#options = options
    this.#unanswered = new Set(options.knownTasks().map((task) => task.taskId))
    this.#askAgain()
    this.#askForAll(false)
  }

  answered(taskId: string): void {
    this.#unanswered.delete(taskId)
  }

  stop(): void {
    this.#stopAsking()
    this.#stopAskingForAll()
  }

  #askAgain(): void {
    const asked = this.#options.knownTasks().filter((task) => this.#unanswered.has(task.taskId))
    if (asked.length === 0) return
    this.#options.ask(asked)
    const delayMs = backoffMs(this.#attempt++, baseMs, maxMs, this.#options.random())
    this.#stopAsking = this.#options.clock.after(delayMs, () => this.#askAgain())
  }

  #askForAll(now: boolean): void {
    if (now) this.#options.ask([])
    this.#stopAskingForAll = this.#options.clock.after(implicitMs, () => this.#askForAll(true))
  }
}
