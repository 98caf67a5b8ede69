/**
 * Operations: reports on operations that have an id; others are never reported.
 *
 *   P1. The success of an operation is reported again after 10 s, then 20 s later, doubling up to 10 minutes, and at
 *       each new subscription, until it is acknowledged. Unacknowledged reports are forgotten when the master ends,
 *       or the framework is removed.
 *   P2. A refusal is reported once.
 * @module
 */
import { randomUUID } from 'node:crypto'
import type { Clock } from '../../clock.ts'
import type { Agent } from '../agent/index.ts'
import type { Id } from '../wire/index.ts'
import type { Framework } from './framework.ts'

const retryMinMs = 10_000
const retryMaxMs = 600_000

interface Done {
  readonly framework: Framework
  readonly status: {
    readonly operation_id: Id
    readonly state: 'OPERATION_FINISHED'
    readonly uuid: Id
    readonly agent_id: Id
  }
  cancelRetry: () => void
}

export class Operations {
  readonly #clock: Clock
  readonly #done = new Set<Done>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  finished(framework: Framework, id: Id | undefined, agent: Agent): void {
    if (id === undefined) return
    const status = {
      operation_id: id,
      state: 'OPERATION_FINISHED',
      uuid: { value: Buffer.from(randomUUID().replaceAll('-', ''), 'hex').toString('base64') },
      agent_id: { value: agent.id },
    } as const
    const done = { framework, status, cancelRetry: () => {} }
    this.#done.add(done)
    this.#tell(done, retryMinMs)
  }

  refused(framework: Framework, id: Id | undefined, message: string): void {
    if (id !== undefined) send(framework, { operation_id: id, state: 'OPERATION_ERROR', message })
  }

  acknowledge(framework: Framework, operationId: string, uuid: string): void {
    const done = this.#find(framework, operationId)
    if (done?.status.uuid.value === uuid) this.#forget(done)
  }

  /** Sends the unacknowledged reports of a framework that has just subscribed. */
  resend(framework: Framework): void {
    for (const done of this.#done) if (done.framework === framework) this.#tell(done, retryMinMs)
  }

  reconcile(
    framework: Framework,
    asked: readonly { readonly operation_id: Id; readonly agent_id?: Id }[],
  ): void {
    for (const { operation_id, agent_id } of asked) {
      const done = this.#find(framework, operation_id.value)
      const { uuid: _, ...known } = done?.status ?? { uuid: undefined }
      const message = `Reconciliation: ${done === undefined ? 'Operation is unknown' : 'Latest operation state'}`
      const where = agent_id === undefined ? {} : { agent_id }
      send(framework, { operation_id, state: 'OPERATION_UNKNOWN', message, ...where, ...known })
    }
  }

  /** Forgets the operations of a removed framework. */
  leave(framework: Framework): void {
    for (const done of [...this.#done]) if (done.framework === framework) this.#forget(done)
  }

  close(): void {
    for (const done of this.#done) done.cancelRetry()
  }

  #find(framework: Framework, operationId: string): Done | undefined {
    return [...this.#done].find(
      (done) => done.framework === framework && done.status.operation_id.value === operationId,
    )
  }

  #forget(done: Done): void {
    done.cancelRetry()
    this.#done.delete(done)
  }

  #tell(done: Done, retryMs: number): void {
    done.cancelRetry()
    done.cancelRetry = this.#clock.after(retryMs, () => this.#tell(done, Math.min(2 * retryMs, retryMaxMs)))
    send(done.framework, done.status)
  }
}

function send(framework: Framework, status: object): void {
  framework.stream?.send('UPDATE_OPERATION_STATUS', { status })
}
