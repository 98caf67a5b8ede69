/**
 * Master: frameworks, their subscriptions and their calls, answered as a Mesos master answers them.
 *
 *   M1. A framework has one stream. A second subscription with its id ends the first; its offers die unannounced.
 *   M2. A framework that stays away longer than its failover_timeout, or tears itself down, is removed with its tasks.
 *   M3. 202 says only that a call was understood; what comes of it comes as events.
 *   M4. An update without `uuid` is the master's own word, and is not acknowledged.
 * @module
 */
import type { Logger } from 'pino'
import type { Clock } from '../../clock.ts'
import type { Agent, Task } from '../agent/index.ts'
import {
  type Call,
  type CheckedCall,
  contains,
  format,
  frameworkFault,
  has,
  subtract,
  type TaskState,
  type TaskStatus,
  toWire,
} from '../wire/index.ts'
import { Acceptor } from './acceptor.ts'
import { Agents } from './agents.ts'
import { Allocator, type Offer } from './allocator.ts'
import { type EventStream, heartbeatIntervalMs } from './event-stream.ts'
import { Framework } from './framework.ts'
import { afterLong } from './long-timer.ts'
import type { MasterInfo } from './master-info.ts'
import { Operations } from './operations.ts'
import { Registry } from './registry.ts'
import { latestState, ofAgent, type Report, unknownTask } from './reports.ts'
import { conversionOf, type ReserveOrder, reserveFault } from './reserving.ts'
import { stateOf } from './state.ts'

/** The least time for a framework to return after a restart of the master: Mesos's agent_reregister_timeout. */
const recoveryMinMs = 600_000
/** How many ids of removed frameworks are remembered: Mesos's max_completed_frameworks. */
const removedMax = 50
/** Mesos's agent_ping_timeout × max_agent_ping_timeouts. */
const agentTimeoutDefaultMs = 75_000

export interface MasterOptions {
  readonly info: MasterInfo
  readonly stateDir: string
  /** Those there from the start. */
  readonly agents: readonly Agent[]
  readonly clock: Clock
  readonly log: Logger
  /** How long an offer may stay unanswered before it is rescinded. Absent: for ever. */
  readonly offerTimeoutMs?: number
  /** How long an agent may be silent before it is unreachable. */
  readonly agentTimeoutMs?: number
  /** The principal of all calls, if authentication is required. */
  readonly principal?: string
}

export interface Answer {
  readonly status: number
  /** Absent: an empty answer. */
  readonly text?: string
}

const accepted: Answer = { status: 202 }

export class Master {
  readonly #options: MasterOptions
  readonly #id: string
  readonly #agents: Agents
  readonly #registry: Registry
  readonly #allocator: Allocator
  readonly #acceptor: Acceptor
  readonly #operations: Operations
  readonly #frameworks = new Map<string, Framework>()
  readonly #removed = new Set<string>()
  #frameworkCount = 0
  #closed = false

  constructor(options: MasterOptions) {
    this.#options = options
    this.#id = options.info.id
    this.#registry = new Registry(options.stateDir)
    const { frameworks, drains } = this.#registry.load()
    this.#agents = new Agents(options.clock, options.agentTimeoutMs ?? agentTimeoutDefaultMs, drains)
    this.#allocator = new Allocator({
      agents: () => this.#agents.offering,
      frameworks: () => this.#frameworks.values(),
      offerIdPrefix: this.#id,
      clock: options.clock,
      offered: (framework, offers) => this.#sendOffers(framework, offers),
    })
    this.#operations = new Operations(options.clock)
    this.#acceptor = new Acceptor({
      allocator: this.#allocator,
      operations: this.#operations,
      principal: options.principal,
      find: (framework, taskId) => this.#find(framework, taskId),
      report: (framework, report) => this.#report(framework, report),
    })
    this.#recover(frameworks)
    for (const agent of options.agents) this.connect(agent)
  }

  /** An agent registers, for the first time or again. */
  connect(agent: Agent): void {
    const before = this.#agents.connect(agent)
    agent.listen({
      update: (frameworkId, status) => {
        if (this.#agents.isConnected(agent)) this.#send(this.#frameworks.get(frameworkId), status)
      },
      freed: () => this.#allocator.allocateSoon(),
    })
    const owners = new Set(agent.tasks().map((task) => task.record.frameworkId))
    for (const id of owners) {
      const framework = this.#frameworks.get(id)
      if (framework === undefined) agent.discard(id)
      else if (before === 'unreachable')
        this.#tell(framework, agent, 'REASON_AGENT_REREGISTERED', 'Unreachable agent re-reregistered')
      if (framework?.stream !== undefined && before !== undefined) agent.resend(id)
    }
    this.#endTasksIfDrained(agent)
    this.#allocator.allocateSoon()
  }

  /** The connection to an agent broke: it was killed, or cut off. */
  disconnect(agent: Agent): void {
    if (!this.#agents.isConnected(agent)) return
    this.#agents.silence(agent, () => this.#unreachable(agent))
    this.#rescindOf(agent, this.#allocator.leaveAgent(agent))
    for (const framework of this.#frameworks.values()) {
      if (framework.info.checkpoint) continue
      // Its executors end with the agent's connection.
      const message = `Agent ${agent.hostname} disconnected`
      this.#tell(framework, agent, 'REASON_AGENT_DISCONNECTED', message, 'TASK_LOST')
      agent.discard(framework.id)
    }
  }

  /** Marks an agent as gone for good, on an operator's word. @returns False if there is no such agent. */
  markGone(agentId: string): boolean {
    const agent = this.#agents.find(agentId)
    if (agent === undefined) return false
    for (const framework of this.#frameworks.values()) {
      const aware = has(framework.info, 'PARTITION_AWARE')
      const reason = aware ? 'REASON_AGENT_REMOVED_BY_OPERATOR' : 'REASON_AGENT_REMOVED'
      this.#tell(framework, agent, reason, 'Agent has been marked gone', 'TASK_GONE_BY_OPERATOR')
    }
    this.#rescindOf(agent, this.#allocator.leaveAgent(agent))
    this.#agents.markGone(agent)
    this.#save()
    this.#fail(agent)
    for (const framework of this.#frameworks.values()) agent.discard(framework.id)
    return true
  }

  /** Ends the tasks of an agent and offers nothing of it, on an operator's word. @param graceMs At most. */
  drain(agentId: string, graceMs?: number): Answer {
    const agent = this.#agents.find(agentId)
    if (agent === undefined) return refused(404, `Agent '${agentId}' is not known`)
    this.#agents.drain(agent, graceMs === undefined ? {} : { graceMaxMs: graceMs })
    this.#save()
    this.#rescindOf(agent, this.#allocator.leaveAgent(agent))
    this.#endTasksIfDrained(agent)
    return { status: 200 }
  }

  /** Told to an agent at each registration too: it may not have heard it. */
  #endTasksIfDrained(agent: Agent): void {
    const drain = this.#agents.drains.get(agent.id)
    if (drain === undefined) return
    for (const { info, id } of this.#frameworks.values())
      for (const task of agent.tasks(id))
        task.kill({
          ...{ ...drain, reason: 'REASON_AGENT_DRAINING' },
          reportKilling: has(info, 'TASK_KILLING_STATE'),
        })
  }

  reactivate(agentId: string): Answer {
    const agent = this.#agents.find(agentId)
    if (agent === undefined) return refused(404, `Agent '${agentId}' is not known`)
    this.#agents.reactivate(agent)
    this.#save()
    this.#allocator.allocateSoon()
    return { status: 200 }
  }

  /** Reserves or unreserves resources for an operator; offers that contain them are taken back. */
  reserve(agentId: string, order: ReserveOrder): Answer {
    const agent = this.#agents.find(agentId)
    if (agent === undefined || !this.#agents.isConnected(agent))
      return refused(400, 'No agent found with specified ID')
    const fault = reserveFault(order, this.#options.principal)
    const operation = `Invalid ${order.kind} operation on agent ${agent.id}`
    if (fault !== undefined) return refused(400, `${operation}: ${fault}`)
    const { from, to } = conversionOf(order)
    if (!contains(subtract(agent.total, agent.held), from))
      return refused(409, `${operation}: ${format(from, '*')} is not free`)
    if (!contains(this.#allocator.free(agent), from)) this.#rescindOf(agent)
    agent.convert(from, to)
    this.#allocator.allocateSoon()
    return accepted
  }

  #unreachable(agent: Agent): void {
    if (this.#closed) return
    this.#options.log.warn({ agent: agent.id, hostname: agent.hostname }, 'agent unreachable')
    for (const framework of this.#frameworks.values())
      this.#tell(framework, agent, 'REASON_AGENT_REMOVED', 'health check timed out', 'TASK_UNREACHABLE')
    this.#fail(agent)
  }

  /** Sends a framework an update for each of its tasks on an agent; by default with their current state. */
  #tell(framework: Framework, agent: Agent, reason: string, message: string, state?: TaskState): void {
    for (const task of agent.tasks(framework.id))
      if (!task.ended) this.#report(framework, ofAgent(task, state ?? task.state, reason, message))
  }

  #rescindOf(agent: Agent, offers = this.#allocator.takeBack(agent)): void {
    for (const { framework, id } of offers) framework.stream?.send('RESCIND', { offer_id: { value: id } })
  }

  /** Tells everybody that an agent is gone. */
  #fail(agent: Agent): void {
    for (const framework of this.#frameworks.values())
      framework.stream?.send('FAILURE', { agent_id: { value: agent.id } })
  }

  /** SUBSCRIBE. What is wrong with a FrameworkInfo is told as an event on the stream that it asked for. */
  subscribe(subscribe: NonNullable<Call['subscribe']>, stream: EventStream): void {
    const { framework_info: info, suppressed_roles: suppressed } = subscribe
    const fault = frameworkFault(info, suppressed)
    if (fault !== undefined) return stream.fail(fault)
    const id = info.id?.value ?? `${this.#id}-${String(this.#frameworkCount++).padStart(4, '0')}`
    if (this.#removed.has(id)) return stream.fail('Framework has been removed')

    const framework = this.#frameworks.get(id) ?? new Framework(id, info, false)
    framework.cancelRemoval()
    this.#detach(framework)?.fail('Framework failed over')
    framework.update(info, suppressed)
    framework.stream = stream
    framework.recovered = false
    this.#frameworks.set(id, framework)
    this.#save()
    stream.send('SUBSCRIBED', {
      framework_id: { value: id },
      heartbeat_interval_seconds: heartbeatIntervalMs / 1000,
      master_info: this.#options.info,
    })
    stream.startHeartbeats()
    for (const agent of this.#agents.connected) agent.resend(id)
    this.#operations.resend(framework)
    this.#allocator.allocateSoon()
    stream.onClose(() => this.#disconnected(framework, stream))
  }

  /** Any other call. */
  call(call: CheckedCall, streamId: string | undefined): Answer {
    const framework = this.#frameworks.get(call.framework_id?.value ?? '')
    if (framework === undefined || framework.recovered) return refused(400, 'Framework cannot be found')
    if (framework.stream === undefined) return refused(403, 'Framework is not subscribed')
    if (streamId === undefined) {
      return refused(400, "All non-subscribe calls should include the 'Mesos-Stream-Id' header")
    }
    if (streamId !== framework.stream.id) {
      const text = `The stream ID '${streamId}' included in this request didn't match the stream ID currently associated with framework ID ${framework.id}`
      return refused(400, text)
    }
    return this.#perform(framework, call)
  }

  /** What `/state` shows. */
  get state(): unknown {
    return stateOf({
      info: this.#options.info,
      agents: this.#agents,
      frameworks: [...this.#frameworks.values()],
      offers: (framework) => this.#allocator.offers(framework),
    })
  }

  get version(): { readonly version: string } {
    return { version: this.#options.info.version }
  }

  /** Ends the master without a word to its frameworks, as a killed one does. */
  close(): void {
    this.#closed = true
    this.#allocator.close()
    this.#operations.close()
    this.#agents.close()
    for (const framework of this.#frameworks.values()) framework.cancelRemoval()
  }

  #perform(framework: Framework, call: CheckedCall): Answer {
    switch (call.type) {
      case 'TEARDOWN':
        this.#remove(framework)
        break
      case 'ACCEPT':
        this.#acceptor.accept(framework, call.accept!)
        break
      case 'DECLINE':
        for (const { value } of call.decline!.offer_ids) {
          const offer = this.#allocator.take(framework, value)
          if (offer === undefined) continue
          this.#allocator.refuse(offer, offer.resources, call.decline!.filters?.refuse_seconds)
        }
        break
      case 'REVIVE':
        this.#revive(framework, call.revive?.roles ?? [])
        break
      case 'SUPPRESS': {
        const roles = call.suppress?.roles ?? []
        framework.suppressed = new Set([
          ...framework.suppressed,
          ...(roles.length > 0 ? roles : framework.roles),
        ])
        break
      }
      case 'KILL':
        this.#kill(framework, call.kill!)
        break
      case 'ACKNOWLEDGE': {
        const { agent_id, task_id, uuid } = call.acknowledge!
        const agent = this.#agents.find(agent_id.value)
        if (agent !== undefined && this.#agents.isConnected(agent))
          agent.acknowledge(framework.id, task_id.value, uuid)
        break
      }
      case 'RECONCILE':
        this.#reconcile(framework, call.reconcile!.tasks)
        break
      case 'ACKNOWLEDGE_OPERATION_STATUS': {
        const { operation_id, uuid } = call.acknowledge_operation_status!
        this.#operations.acknowledge(framework, operation_id.value, uuid)
        break
      }
      case 'RECONCILE_OPERATIONS':
        this.#operations.reconcile(framework, call.reconcile_operations!.operations)
        break
      case 'UPDATE_FRAMEWORK':
        return this.#updateFramework(framework, call.update_framework!)
      default:
        // There are no executors and no inverse offers: such calls are accepted without effect.
        this.#options.log.debug({ framework: framework.id, call: call.type }, 'call without effect')
    }
    return accepted
  }

  #revive(framework: Framework, asked: readonly string[]): void {
    const roles = asked.length > 0 ? asked : framework.roles
    framework.suppressed = new Set([...framework.suppressed].filter((role) => !roles.includes(role)))
    this.#allocator.revive(framework, roles)
  }

  #kill(framework: Framework, kill: NonNullable<Call['kill']>): void {
    const task = this.#find(framework, kill.task_id.value)
    if (task === undefined) return this.#reconcileOne(framework, kill.task_id.value, kill.agent_id?.value)
    if (!this.#agents.connected.some((agent) => agent.id === task.record.info.agent_id.value)) return // G1 of agents.ts
    const nanoseconds = kill.kill_policy?.grace_period?.nanoseconds
    task.kill({
      ...(nanoseconds === undefined ? {} : { graceMs: nanoseconds / 1e6 }),
      reportKilling: has(framework.info, 'TASK_KILLING_STATE'),
    })
  }

  #reconcile(framework: Framework, asked: NonNullable<Call['reconcile']>['tasks']): void {
    if (asked.length === 0)
      for (const task of this.#tasks(framework)) this.#report(framework, latestState(task))
    for (const { task_id, agent_id } of asked) this.#reconcileOne(framework, task_id.value, agent_id?.value)
  }

  #reconcileOne(framework: Framework, taskId: string, agentId: string | undefined): void {
    const task = this.#find(framework, taskId)
    const reach = agentId === undefined ? undefined : this.#agents.reach(agentId)
    this.#report(framework, task === undefined ? unknownTask(taskId, agentId, reach) : latestState(task))
  }

  #report(framework: Framework, report: Report): void {
    this.#send(framework, { ...report, timestamp: this.#options.clock.nowMs() / 1000 })
  }

  #send(framework: Framework | undefined, status: TaskStatus): void {
    framework?.stream?.send('UPDATE', { status: { ...status, state: framework.told(status.state) } })
  }

  #updateFramework(framework: Framework, update: NonNullable<Call['update_framework']>): Answer {
    const { framework_info: info, suppressed_roles: suppressed } = update
    const fault = frameworkFault(info, suppressed)
    if (fault !== undefined) return refused(400, `Supplied FrameworkInfo is not valid: ${fault}`)
    for (const field of ['user', 'checkpoint'] as const) {
      const [was, wanted] = [framework.info[field] ?? false, info[field] ?? false]
      if (was !== wanted) {
        const change = `attempted to update from '${was}' to '${wanted}'`
        return refused(
          400,
          `FrameworkInfo update is not valid: Updating 'FrameworkInfo.${field}' is unsupported; ${change}`,
        )
      }
    }
    framework.update(info, suppressed)
    this.#save()
    for (const offer of this.#allocator.offers(framework)) {
      if (!framework.roles.includes(offer.role)) this.#rescind(offer)
    }
    this.#allocator.allocateSoon()
    return { status: 200 }
  }

  #sendOffers(framework: Framework, offers: readonly Offer[]): void {
    framework.stream?.send('OFFERS', { offers: offers.map((offer) => this.#offerMessage(offer)) })
    const { clock, offerTimeoutMs } = this.#options
    if (offerTimeoutMs === undefined) return
    for (const offer of offers) clock.after(offerTimeoutMs, () => this.#rescind(offer))
  }

  #rescind(offer: Offer): void {
    if (this.#closed || this.#allocator.take(offer.framework, offer.id) === undefined) return
    offer.framework.stream?.send('RESCIND', { offer_id: { value: offer.id } })
  }

  #offerMessage({ id, framework, agent, role, resources }: Offer): unknown {
    const [hostname, port] = agent.endpoint.split(':')
    return {
      id: { value: id },
      framework_id: { value: framework.id },
      agent_id: { value: agent.id },
      hostname: agent.hostname,
      url: { scheme: 'http', address: { hostname, ip: '127.0.0.1', port: Number(port) }, path: '/slave(1)' },
      resources: toWire(resources, role, !has(framework.info, 'RESERVATION_REFINEMENT')),
      ...(agent.attributes.length === 0 ? {} : { attributes: agent.attributes }),
      allocation_info: { role },
    }
  }

  /** Takes a framework's stream away from it, and the offers that were made there. */
  #detach(framework: Framework): EventStream | undefined {
    const stream = framework.stream
    framework.stream = undefined
    this.#allocator.leave(framework)
    return stream
  }

  #disconnected(framework: Framework, stream: EventStream): void {
    if (this.#closed || framework.stream !== stream) return
    this.#detach(framework)
    const timeoutMs = (framework.info.failover_timeout ?? 0) * 1000
    this.#options.log.info({ framework: framework.id, timeoutMs }, 'framework disconnected')
    if (timeoutMs <= 0) this.#remove(framework)
    else framework.cancelRemoval = afterLong(this.#options.clock, timeoutMs, () => this.#remove(framework))
  }

  #remove(framework: Framework): void {
    framework.cancelRemoval()
    this.#detach(framework)?.end()
    for (const agent of this.#agents.connected) agent.discard(framework.id) // the others when they are back
    this.#operations.leave(framework)
    this.#frameworks.delete(framework.id)
    this.#removed.add(framework.id)
    for (const id of [...this.#removed].slice(0, -removedMax)) this.#removed.delete(id)
    this.#save()
    this.#options.log.info({ framework: framework.id }, 'framework removed')
  }

  /** Waits for the frameworks that were known before the restart. */
  #recover(frameworks: readonly Framework[]): void {
    const { clock } = this.#options
    for (const framework of frameworks) {
      this.#frameworks.set(framework.id, framework)
      const waitMs = Math.max(recoveryMinMs, (framework.info.failover_timeout ?? 0) * 1000)
      framework.cancelRemoval = afterLong(clock, waitMs, () => this.#remove(framework))
    }
  }

  #save(): void {
    this.#registry.save(this.#frameworks.values(), this.#agents.drains)
  }

  #tasks(framework: Framework): readonly Task[] {
    return this.#agents.tasks(framework.id)
  }

  #find(framework: Framework, taskId: string): Task | undefined {
    return this.#tasks(framework).find((task) => task.id === taskId)
  }
}

const refused = (status: number, text: string): Answer => ({ status, text })
