/**
 * UpdateQueue: the status updates of one task, delivered one at a time and in order.
 *
 *   Q1. A later update waits until the one before it is acknowledged.
 *   Q2. An update not acknowledged is sent again after 10 s, then 20 s more, doubling up to 10 minutes.
 *   Q3. What is pending is saved before it is sent, so that it survives the agent.
 * @module
 */
import type { Clock } from '../../clock.ts'
import type { TaskStatus } from '../wire/index.ts'

const retryMinMs = 10_000
const retryMaxMs = 600_000

export interface UpdateQueueOptions {
  readonly clock: Clock
  readonly pending: readonly TaskStatus[]
  readonly send: (status: TaskStatus) => void
  /** `acknowledged`: the update that was, if that is the change. */
  readonly save: (pending: readonly TaskStatus[], acknowledged?: TaskStatus) => void
}

export class UpdateQueue {
  readonly #options: UpdateQueueOptions
  #pending: readonly TaskStatus[]
  #cancelRetry: () => void = () => {}

  constructor(options: UpdateQueueOptions) {
    this.#options = options
    this.#pending = options.pending
  }

  /** The update that awaits its acknowledgement. */
  get head(): TaskStatus | undefined {
    return this.#pending[0]
  }

  push(status: TaskStatus): void {
    this.#pending = [...this.#pending, status]
    this.#options.save(this.#pending)
    if (this.#pending.length === 1) this.flush()
  }

  /** Any other uuid than that of the update sent is stale or a repeat, and ignored. */
  acknowledge(uuid: string): void {
    const [head, ...rest] = this.#pending
    if (head?.uuid !== uuid) return
    this.#pending = rest
    this.#options.save(rest, head)
    this.flush()
  }

  /** Sends the head now, e.g. because its framework has just subscribed. */
  flush(): void {
    this.#send(retryMinMs)
  }

  close(): void {
    this.#cancelRetry()
  }

  #send(retryMs: number): void {
    this.#cancelRetry()
    if (this.head === undefined) return
    this.#cancelRetry = this.#options.clock.after(retryMs, () =>
      this.#send(Math.min(2 * retryMs, retryMaxMs)),
    )
    this.#options.send(this.head)
  }
}
