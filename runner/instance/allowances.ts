/**
 * Allowances: announces how much the instances of this runner may send before their next report.
 *
 *   AN1. A notice goes out before the frames that need it, on the same connection: wherever they arrive, it has
 *        arrived.
 * Design: docs/design/0002-channels.md, "The account of a producer that is killed"
 * @module
 */
import { subjects, type Wire } from '../../infra/bus/index.ts'
import type { AllowanceNotice, AllowanceRow } from '../../infra/control/messages/accounts.ts'
import type { InstanceAssignment } from '../../infra/control/messages/assignment.ts'
import { jsonBytes } from '../../infra/json.ts'

export class Allowances {
  readonly #wire: Wire
  readonly #taskId: string
  readonly #subject: string
  #number = 0

  constructor(wire: Wire, namespace: string, taskId: string) {
    this.#wire = wire
    this.#taskId = taskId
    this.#subject = subjects.allowanceSubject(namespace, taskId)
  }

  tell({ id, epoch }: Pick<InstanceAssignment, 'id' | 'epoch'>, rows: readonly AllowanceRow[]): void {
    const notice: AllowanceNotice = {
      ...{ schema: 1, taskId: this.#taskId, instance: id, epoch },
      ...{ number: this.number(), rows },
    }
    this.#wire.publish(this.#subject, jsonBytes(notice))
  }

  /** The next number, of a notice or a report. */
  number(): number {
    return ++this.#number
  }
}
