/**
 * MasterModel: the leading Mesos master: offers, ACCEPT, updates, reconciliation, and agents that are lost and
 * return. A new master knows nothing until the agents have registered.
 *
 *   ME1. What is offered, used or promised of an agent never exceeds what it has.
 *   ME2. An offer is valid once, for the subscription to which it was made.
 *   ME3. The master says nothing about tasks on an agent that has not registered yet.
 * @module
 */
import type { LaunchOrder, Offer, Resources, TaskRef, TaskUpdate } from '../../scheduler/engine.ts'
import type { AgentModel } from './agent.ts'
import type { Link } from './link.ts'
import { type Loop, Process } from './loop.ts'
import type { Random } from './random.ts'
import { must } from './violation.ts'

const pingsMs = 75_000
const allocationMs = 1_000
/** An offer that nobody has answered by then, over a link that lived all the time, is leaked. */
const offerHeldMs = 20_000

interface Outstanding {
  readonly offer: Offer
  readonly link: Link
  readonly atMs: number
}

interface Registered {
  readonly id: string
  readonly agent: AgentModel
  /** As far as the master knows: launched and not ended. */
  readonly tasks: Map<string, LaunchOrder>
  /** What was declined: nothing that is no more than that is offered again, until REVIVE. */
  refused: Resources | undefined
  cancelPings: () => void
}

export interface MasterOptions {
  readonly loop: Loop
  readonly random: Random
  readonly agents: readonly AgentModel[]
  readonly wireMs: () => number
}

export class MasterModel {
  readonly process: Process
  readonly #options: MasterOptions
  #link: Link | undefined
  /** Subscribed, or about to be. */
  readonly #links = new Set<Link>()
  #suppressed = false
  #ids = 0
  #term = 0
  readonly #arrivalMs = new Map<string, number>()
  readonly #registered = new Map<string, Registered>()
  /** Ids of agents that were there and are not: the registry, which outlives the master. */
  readonly #unreachable = new Set<string>()
  readonly #recovered = new Set<string>()
  readonly #offers = new Map<string, Outstanding>()
  #allocates = false

  constructor(options: MasterOptions) {
    this.#options = options
    this.process = new Process('master', options.loop)
    this.process.start()
    for (const agent of options.agents) this.#comeSoon(agent)
  }

  /** Another one leads in its place. */
  failOver(awayMs: number): void {
    if (!this.process.isUp) return
    this.process.kill()
    this.#term += 1
    for (const link of this.#links) link.break()
    this.#links.clear()
    this.#link = undefined
    for (const id of this.#registered.keys()) this.#recovered.add(id)
    for (const { cancelPings } of this.#registered.values()) cancelPings()
    this.#registered.clear()
    this.#offers.clear()
    this.#options.loop.after(awayMs, () => {
      this.process.start()
      for (const id of this.#recovered)
        this.process.after(pingsMs, () => {
          if (this.#recovered.delete(id)) this.#unreachable.add(id)
        })
      for (const agent of this.#options.agents) this.#comeSoon(agent)
    })
  }

  /** An agent's way to the master is cut, or it is off: after a while it counts as unreachable. */
  lose(agent: AgentModel): void {
    const { id } = agent
    const known = this.#registered.get(id)
    if (known === undefined) return
    known.cancelPings()
    known.cancelPings = this.process.after(pingsMs, () => this.#forget(id, known, 'unsure'))
  }

  comeBack(agent: AgentModel): void {
    this.#comeSoon(agent)
  }

  #comeSoon(agent: AgentModel): void {
    agent.process.after(this.#options.random.below(3_000), () => this.#register(agent))
  }

  #register(agent: AgentModel): void {
    if (!this.process.isUp || agent.isCutOff || !agent.process.isUp) return
    const before = this.#registered.get(agent.id)
    before?.cancelPings()
    for (const [id, known] of this.#registered)
      if (known.agent === agent && id !== agent.id) this.#forget(id, known, 'lost') // the machine was off
    const alive = [...agent.tasks.values()].filter(({ isAlive }) => isAlive)
    const tasks = new Map(before?.tasks)
    for (const { order } of alive) tasks.set(order.taskId, order)
    this.#recovered.delete(agent.id)
    const wasGone = this.#unreachable.delete(agent.id)
    const known: Registered = { id: agent.id, agent, tasks, refused: undefined, cancelPings: () => undefined }
    this.#registered.set(agent.id, known)
    // Launches may be under way: the agent says which it does not know, behind them.
    this.#toAgent(known, () => {
      for (const taskId of before?.tasks.keys() ?? []) {
        if (agent.tasks.has(taskId) || !tasks.delete(taskId)) continue
        this.#report(taskId, known.id, 'dropped', 'the agent does not know it')
      }
    })
    if (wasGone)
      for (const { order } of alive) this.#report(order.taskId, agent.id, 'running', 'the agent is back')
    agent.resend()
    this.#allocateSoon()
  }

  #forget(agentId: string, { tasks, cancelPings }: Registered, condition: 'unsure' | 'lost'): void {
    cancelPings()
    this.#registered.delete(agentId)
    this.#unreachable.add(agentId)
    for (const [id, { offer, link }] of this.#offers)
      if (offer.agentId === agentId) {
        this.#offers.delete(id)
        link.toClient({ kind: 'rescinded', offerId: id })
      }
    for (const taskId of tasks.keys()) this.#report(taskId, agentId, condition, 'the agent is gone')
  }

  connect(link: Link): void {
    this.#links.add(link)
    link.toMaster(() => this.#subscribe(link))
  }

  #subscribe(link: Link): void {
    this.#link?.failedOver()
    this.#offers.clear()
    this.#link = link
    this.#suppressed = false
    for (const known of this.#registered.values()) known.refused = undefined
    link.toClient({ kind: 'connected', frameworkId: 'f' })
    for (const known of this.#registered.values()) this.#toAgent(known, (agent) => agent.resend())
    this.#allocateSoon()
  }

  /** The subscription has ended, as far as the master sees. */
  unsubscribe(link: Link): void {
    this.#links.delete(link)
    if (this.#link !== link) return
    this.#link = undefined
    this.#offers.clear()
  }

  launch(link: Link, offerIds: readonly string[], orders: readonly LaunchOrder[]): void {
    const offers = offerIds.map((id) => this.#take(link, id))
    const agentId = orders[0]?.agentId ?? ''
    const known = this.#registered.get(agentId)
    if (known === undefined || offers.some((offer) => offer === undefined)) {
      for (const { taskId } of orders) this.#report(taskId, agentId, 'dropped', 'Offer is no longer valid')
      return
    }
    for (const order of orders) {
      must(!known.tasks.has(order.taskId), 'launched once', () => `${order.taskId} runs already`)
      known.tasks.set(order.taskId, order)
      this.#toAgent(known, (agent) => agent.launch(order))
    }
    const free = this.#free(known)
    must(
      free.cpus >= -1e-6 && free.memMib >= 0 && free.diskMib >= 0,
      'only what was offered',
      () => `${agentId} is short of ${JSON.stringify(free)}`,
    )
    this.#allocateSoon()
  }

  decline(link: Link, offerIds: readonly string[]): void {
    for (const id of offerIds) {
      const offer = this.#take(link, id)
      const known = offer && this.#registered.get(offer.agentId)
      if (known !== undefined) known.refused = offer?.resources
    }
  }

  wantOffers(wanted: boolean): void {
    this.#suppressed = !wanted
    if (!wanted) return
    for (const known of this.#registered.values()) known.refused = undefined
    this.#allocateSoon()
  }

  kill({ taskId, agentId }: TaskRef): void {
    const known = [...this.#registered.values()].find(({ tasks }) => tasks.has(taskId))
    if (known === undefined) this.#reconcile({ taskId, ...(agentId && { agentId }) })
    else this.#toAgent(known, (agent) => agent.kill(taskId))
  }

  acknowledge({ taskId, agentId, receipt }: TaskUpdate): void {
    const known = this.#registered.get(agentId ?? '')
    if (known !== undefined && receipt !== undefined)
      this.#toAgent(known, (agent) => agent.acknowledge(taskId, receipt))
  }

  /** None: all that it knows of. */
  reconcile(tasks: readonly TaskRef[]): void {
    for (const task of tasks) this.#reconcile(task)
    if (tasks.length > 0) return
    for (const [agentId, known] of this.#registered)
      for (const taskId of known.tasks.keys()) this.#report(taskId, agentId, 'running', 'Reconciliation')
  }

  #reconcile({ taskId, agentId = '' }: TaskRef): void {
    if (this.#recovered.has(agentId)) return // ME3
    const known = [...this.#registered.values()].find(({ tasks }) => tasks.has(taskId))
    if (known !== undefined) this.#report(taskId, known.id, 'running', 'Reconciliation')
    else if (this.#registered.has(agentId)) this.#report(taskId, agentId, 'lost', 'unknown to the agent')
    else this.#report(taskId, agentId, 'unsure', 'Reconciliation: Task is unknown')
  }

  /** From an agent. */
  update(agent: AgentModel, update: TaskUpdate): void {
    const known = this.#registered.get(agent.id)
    if (known === undefined || agent.isCutOff) return
    if (update.condition !== 'running' && known.tasks.delete(update.taskId)) this.#allocateSoon()
    this.#link?.toClient({ kind: 'task', update })
  }

  /** Offers that have been answered by nobody for too long. */
  leaked(): Offer | undefined {
    const nowMs = this.#options.loop.nowMs()
    for (const { offer, link, atMs } of this.#offers.values())
      if (link.isOpen && nowMs - Math.max(atMs, link.idleSinceMs) > offerHeldMs) return offer
    return undefined
  }

  #take(link: Link, id: string): Offer | undefined {
    const found = this.#offers.get(id)
    if (found === undefined || found.link !== link) return undefined
    this.#offers.delete(id)
    return found.offer
  }

  #report(taskId: string, agentId: string, condition: TaskUpdate['condition'], message: string): void {
    const agent = agentId === '' ? {} : { agentId }
    this.#link?.toClient({ kind: 'task', update: { taskId, ...agent, condition, message } })
  }

  /** In order. */
  #toAgent({ id, agent }: Registered, run: (agent: AgentModel) => void): void {
    const nowMs = this.#options.loop.nowMs()
    const arrivesMs = Math.max(
      this.#arrivalMs.get(id) ?? 0,
      nowMs + this.#options.random.delayMs(this.#options.wireMs()),
    )
    this.#arrivalMs.set(id, arrivesMs)
    const term = this.#term // what the master before has said is not heard any more
    agent.process.after(arrivesMs - nowMs, () => {
      if (!agent.isCutOff && agent.id === id && term === this.#term) run(agent)
    })
  }

  #free({ id, agent, tasks }: Registered): Resources {
    let { cpus, memMib, diskMib } = agent.options.resources
    const less = (resources: Resources): void => {
      cpus -= resources.cpus
      memMib -= resources.memMib
      diskMib -= resources.diskMib
    }
    for (const { resources } of tasks.values()) less(resources)
    for (const { offer } of this.#offers.values()) if (offer.agentId === id) less(offer.resources)
    return { cpus, memMib, diskMib }
  }

  #allocateSoon(): void {
    if (this.#allocates) return
    this.#allocates = true
    this.#options.loop.after(this.#options.random.below(allocationMs), () => {
      this.#allocates = false
      if (this.process.isUp) this.#allocate()
    })
  }

  #allocate(): void {
    const link = this.#link
    if (link === undefined || this.#suppressed) return
    const offers: Offer[] = []
    for (const [agentId, known] of this.#registered) {
      const { options, isCutOff } = known.agent
      const resources = this.#free(known)
      if (isCutOff || resources.cpus < 0.01 || resources.memMib < 32) continue
      if (known.refused !== undefined && isWithin(resources, known.refused)) continue
      const { host: hostname, attributes } = options
      offers.push({ id: `o${this.#ids++}`, agentId, hostname, attributes, resources })
    }
    for (const offer of offers) this.#offers.set(offer.id, { offer, link, atMs: this.#options.loop.nowMs() })
    if (offers.length > 0) link.toClient({ kind: 'offers', offers })
  }
}

function isWithin(a: Resources, b: Resources): boolean {
  return a.cpus <= b.cpus + 1e-9 && a.memMib <= b.memMib && a.diskMib <= b.diskMib
}
