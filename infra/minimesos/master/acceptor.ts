/**
 * Acceptor: carries out an ACCEPT.
 *
 *   C1. The named offers are used up, whether or not the ACCEPT is valid.
 *   C2. Each task is launched or gets a status that says why not; one bad task does not stop the others.
 *   C3. The rest of the offers is filtered as the ACCEPT says.
 * @module
 */
import type { Task } from '../agent/index.ts'
import {
  add,
  type Call,
  contains,
  format,
  fromWire,
  type Operation,
  type Resources,
  subtract,
  sum,
  type TaskInfo,
} from '../wire/index.ts'
import type { Allocator, Offer } from './allocator.ts'
import type { Framework } from './framework.ts'
import type { Operations } from './operations.ts'
import { notLaunched, type Report, tasksOf } from './reports.ts'
import { conversionOf, orderOf, type ReserveOrder, reserveFault } from './reserving.ts'
import { taskFault } from './task-fault.ts'

export interface AcceptorOptions {
  readonly allocator: Allocator
  readonly operations: Operations
  /** The frameworks' principal, if authentication is required. */
  readonly principal: string | undefined
  readonly find: (framework: Framework, taskId: string) => Task | undefined
  readonly report: (framework: Framework, report: Report) => void
}

export class Acceptor {
  readonly #options: AcceptorOptions

  constructor(options: AcceptorOptions) {
    this.#options = options
  }

  accept(framework: Framework, accept: NonNullable<Call['accept']>): void {
    const ids = accept.offer_ids.map((id) => id.value)
    const taken = ids.map((id) => this.#options.allocator.take(framework, id))
    const offers = taken.filter((offer) => offer !== undefined)
    const [first] = offers
    const fault = offersFault(ids, taken)
    if (fault !== undefined || first === undefined) {
      const message = `Task launched with invalid offers: ${fault}`
      for (const info of accept.operations.flatMap(tasksOf)) {
        this.#options.report(framework, notLaunched(info, 'TASK_DROPPED', 'REASON_INVALID_OFFERS', message))
      }
      return
    }
    const whole = sum(offers.map((offer) => offer.resources))
    const left = accept.operations.reduce(
      (free, operation) => this.#perform(framework, first, operation, free),
      whole,
    )
    this.#options.allocator.refuse(
      first,
      left,
      accept.filters?.refuse_seconds,
      left === whole ? undefined : 0,
    )
  }

  /** Performs an operation. @returns What is left of `free`. */
  #perform(framework: Framework, offer: Offer, operation: Operation, free: Resources): Resources {
    const order = orderOf(operation)
    if (order !== undefined) return this.#reserve(framework, offer, operation.id, order, free)
    if (operation.type !== 'LAUNCH') {
      this.#refuse(framework, operation)
      return free
    }
    return tasksOf(operation).reduce(
      (left, info) =>
        this.#launch(framework, offer, info, left) ? subtract(left, fromWire(info.resources)) : left,
      free,
    )
  }

  #launch(framework: Framework, { agent, role }: Offer, info: TaskInfo, left: Resources): boolean {
    const taken = (taskId: string): boolean => this.#options.find(framework, taskId) !== undefined
    const fault = taskFault(info, { agentId: agent.id, role, left, taken })
    if (fault !== undefined) {
      this.#options.report(framework, notLaunched(info, 'TASK_ERROR', 'REASON_TASK_INVALID', fault))
      return false
    }
    try {
      agent.launch(framework.id, role, info)
      return true
    } catch (error) {
      const message = `Failed to create executor directory: ${(error as Error).message}`
      this.#options.report(
        framework,
        notLaunched(info, 'TASK_DROPPED', 'REASON_EXECUTOR_TERMINATED', message),
      )
      return false
    }
  }

  #reserve(
    framework: Framework,
    { agent, role }: Offer,
    id: Operation['id'],
    order: ReserveOrder,
    free: Resources,
  ): Resources {
    const { from, to } = conversionOf(order)
    const fault =
      reserveFault(order, this.#options.principal, role) ??
      (contains(free, from)
        ? undefined
        : `Invalid ${order.kind} Operation: ${format(free, role)} does not contain ${format(from, role)}`)
    if (fault !== undefined) {
      const where = `agent ${agent.id} at slave(1)@${agent.endpoint} (${agent.hostname})`
      this.#options.operations.refused(framework, id, `${fault}; on ${where}`)
      return free
    }
    agent.convert(from, to)
    this.#options.operations.finished(framework, id, agent)
    return add(subtract(free, from), to)
  }

  #refuse(framework: Framework, operation: Operation): void {
    const message = `minimesos does not support the operation ${operation.type ?? 'of unknown type'}`
    for (const info of tasksOf(operation)) {
      const text = `${message}: launch tasks by LAUNCH`
      this.#options.report(framework, notLaunched(info, 'TASK_ERROR', 'REASON_TASK_GROUP_INVALID', text))
    }
    this.#options.operations.refused(framework, operation.id, message)
  }
}

/** Why these offers cannot be accepted together. */
function offersFault(ids: readonly string[], offers: readonly (Offer | undefined)[]): string | undefined {
  if (ids.length === 0) return 'No offers specified'
  const twice = ids.find((id, i) => ids.indexOf(id) !== i)
  if (twice !== undefined) return `Duplicate offer ${twice} in offer list`
  const dead = ids.find((_, i) => offers[i] === undefined)
  if (dead !== undefined) return `Offer ${dead} is no longer valid`
  const [first, ...others] = offers as readonly [Offer, ...Offer[]]
  const other = others.find((offer) => offer.role !== first.role)
  if (other !== undefined) {
    return `Aggregated offers must be allocated to the same role. Offer ${other.id} uses role ${other.role} but another is using role ${first.role}`
  }
  const elsewhere = others.find((offer) => offer.agent !== first.agent)
  if (elsewhere !== undefined) {
    return `Aggregated offers must belong to one single agent. Offer ${elsewhere.id} uses agent ${elsewhere.agent.id} and agent ${first.agent.id}`
  }
  return undefined
}
