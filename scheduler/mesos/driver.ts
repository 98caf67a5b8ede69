/**
 * Driver: the cluster engine on Apache Mesos, over its v1 scheduler HTTP API.
 *
 * States: subscribing (attempts with jittered back-off, from master to master, following a standby's redirects) →
 * subscribed (events and calls) → subscribing …, until closed or refused.
 *
 *   D1. A framework keeps its id over all subscriptions. If the master says that it was removed, an operator may have
 *       meant that: it registers anew only if configured to.
 *   D2. If another process subscribes with the same id, the engine fails instead of competing.
 *   D3. Malformed messages of a master never end the engine. They are logged; an unreadable offer is declined, and an
 *       unreadable update is acknowledged, since otherwise the task's next update would never come.
 * @module
 */
import { userInfo } from 'node:os'
import type { Clock } from '../../infra/clock.ts'
import { CodedError } from '../../sdk/errors.ts'
import { backoffMs } from '../backoff.ts'
import type { Engine, EngineListener, LaunchOrder, Offer, TaskRef, TaskUpdate } from '../engine.ts'
import { type Call, type Connection, subscribe } from './connection.ts'
import { electedMasters, listedMasters, type Masters } from './masters.ts'
import {
  acceptCall,
  acknowledgeCall,
  declineCall,
  declineInverseCall,
  idsOf,
  killCall,
  type MesosEvent,
  reconcileCall,
  subscribeCall,
  updateOf,
  wantOffersCall,
} from './messages.ts'
import { OfferedResources } from './offered-resources.ts'
import { Reconciler } from './reconciler.ts'

const retryBaseMs = 100
const retryMaxMs = 15_000
/** Redirects followed in a row; more mean two standbys that point at each other. */
const redirectsMax = 5

export interface MesosOptions {
  /** `http://host:port`, several masters separated by commas; or where to find them, `zk://host,host/mesos`. */
  readonly url: string
  readonly principal?: string
  readonly secret?: string
  /** Several separated by commas. */
  readonly role: string
  /** As whom the agents run our tasks; default: as whom this process runs. */
  readonly user?: string
  /** After the master removed the framework and killed its tasks: fail, or register under a new id. */
  readonly onRemoved?: 'fail' | 'registerAnew'
  /** How long the cluster keeps our tasks without a scheduler. */
  readonly failoverTimeoutSeconds: number
  /** From an earlier registration. */
  readonly frameworkId?: string
  readonly clock: Clock
  readonly random: () => number
  readonly log: { info(text: string): void; warn(text: string): void }
}

export class MesosEngine implements Engine {
  readonly #options: MesosOptions
  #masters: Masters | undefined
  readonly #roles: readonly string[]
  readonly #user: string
  readonly #headers: Readonly<Record<string, string>>
  readonly #offered: OfferedResources
  #listener!: EngineListener
  #frameworkId: string | undefined
  #connection: Connection | undefined
  #reconciler: Reconciler | undefined
  #registered = false
  /** Why the engine cannot go on, once the subscription has ended. */
  #fatal: Error | undefined
  #closed = false
  #wake: () => void = () => {}
  #running: Promise<void> = Promise.resolve()

  constructor(options: MesosOptions) {
    this.#options = options
    this.#roles = listOf(options.role)
    this.#user = options.user ?? userInfo().username
    this.#offered = new OfferedResources(this.#roles[0] ?? '*')
    this.#frameworkId = options.frameworkId
    const login = `${options.principal ?? ''}:${options.secret ?? ''}`
    this.#headers =
      options.secret === undefined ? {} : { authorization: `Basic ${Buffer.from(login).toString('base64')}` }
  }

  start(listener: EngineListener): void {
    this.#listener = listener
    try {
      this.#masters = this.#findMasters()
    } catch (error) {
      return listener.failed(error as Error)
    }
    this.#running = this.#run().catch((error: unknown) => {
      if (!this.#closed) listener.failed(error as Error)
    })
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#connection?.end('closing')
    this.#wake()
    await this.#masters?.close()
    await this.#running
  }

  #findMasters(): Masters {
    const { url, log } = this.#options
    if (!url.startsWith('zk:')) return listedMasters(listOf(url))
    return electedMasters({
      url,
      log,
      failed: (error) => this.#listener.failed(error),
      changed: () => {
        this.#connection?.end('another master leads')
        this.#wake()
      },
    })
  }

  async #run(): Promise<void> {
    let redirects = 0
    let url = await this.#masters?.next()
    for (let attempt = 0; !this.#closed && url !== undefined; ) {
      const answer = await subscribe({
        url,
        headers: this.#headers,
        clock: this.#options.clock,
        subscribe: subscribeCall(this.#frameworkInfo(), this.#frameworkId),
        event: (event) => this.#take(event),
        unreadable: (why) => this.#options.log.warn(`an event of the master cannot be read: ${why}`),
      })
      if (answer.kind === 'refused') throw answer.error
      if (answer.kind === 'redirected' && redirects++ < redirectsMax) {
        url = answer.url
        continue
      }
      redirects = 0
      if (answer.kind === 'open') {
        if (await this.#live(answer.connection)) attempt = 0
      } else if (answer.kind === 'unavailable') this.#options.log.warn(answer.why)
      if (this.#closed) return
      await this.#pause(backoffMs(attempt++, retryBaseMs, retryMaxMs, this.#options.random()))
      url = await this.#masters?.next()
    }
  }

  /** Handles one subscription to its end. @returns Whether the master accepted it. */
  async #live(connection: Connection): Promise<boolean> {
    this.#connection = connection
    this.#registered = false
    if (this.#closed) connection.end('closing')
    const why = await connection.read()
    this.#reconciler?.stop()
    this.#reconciler = undefined
    this.#connection = undefined
    this.#offered.clear()
    if (this.#registered) this.#listener.event({ kind: 'disconnected', why })
    if (!this.#closed) this.#options.log.warn(`the subscription has ended: ${why}`)
    if (this.#fatal !== undefined) throw this.#fatal
    return this.#registered
  }

  #take(event: MesosEvent): void {
    switch (event.type) {
      case 'SUBSCRIBED':
        this.#subscribed(event)
        return
      case 'OFFERS':
        this.#offers(event.offers?.offers ?? [])
        return
      case 'INVERSE_OFFERS':
        this.#declineInverse(idsOf(event.inverse_offers?.inverse_offers ?? []))
        return
      case 'RESCIND':
        if (event.rescind !== undefined) this.#rescinded(event.rescind.offer_id.value)
        return
      case 'UPDATE':
        this.#update(event)
        return
      case 'ERROR':
        this.#error(event.error?.message ?? 'an error without a message')
        return
      case 'HEARTBEAT':
        return
      case 'FAILURE':
        // An agent or an executor is gone. Its tasks' updates report the same one by one.
        if (event.failure?.executor_id === undefined)
          this.#options.log.info(`agent ${event.failure?.agent_id?.value ?? ''} is gone`)
        return
      default:
        this.#options.log.info(`the master sent an event that is not known here: ${event.type}`)
    }
  }

  #subscribed(event: MesosEvent): void {
    const frameworkId = event.subscribed?.framework_id.value
    if (frameworkId === undefined) return this.#connection?.end('the master did not say our framework id')
    this.#frameworkId = frameworkId
    this.#registered = true
    this.#listener.event({ kind: 'connected', frameworkId })
    this.#reconciler = new Reconciler({
      clock: this.#options.clock,
      random: this.#options.random,
      knownTasks: () => this.#listener.knownTasks(),
      ask: (tasks) => this.reconcile(tasks),
    })
  }

  #offers(offered: readonly unknown[]): void {
    const offers: Offer[] = []
    for (const each of offered) {
      try {
        offers.push(this.#offered.take(each))
      } catch (error) {
        const ids = idsOf([each])
        this.#options.log.warn(`offer ${ids[0] ?? 'without id'} cannot be read: ${(error as Error).message}`)
        if (ids.length > 0) this.decline(ids)
      }
    }
    if (offers.length > 0) this.#listener.event({ kind: 'offers', offers })
  }

  #rescinded(offerId: string): void {
    this.#offered.drop([offerId])
    this.#listener.event({ kind: 'rescinded', offerId })
  }

  #declineInverse(offerIds: readonly string[]): void {
    if (offerIds.length === 0) return
    this.#options.log.info(`the cluster asks for ${offerIds.length} agent(s) back: tasks stay until they go`)
    void this.#call(declineInverseCall(offerIds))
  }

  #update(event: MesosEvent): void {
    const status = event.update?.status
    if (status === undefined) return
    const update = updateOf(event)
    if (update !== undefined) {
      if (update.condition !== 'unsure') this.#reconciler?.settled(update.taskId)
      this.#listener.event({ kind: 'task', update })
      return
    }
    const { task_id, agent_id, uuid, state } = status
    this.#options.log.warn(`task ${task_id.value} is in a state that is not known here: '${state}'`)
    if (uuid === undefined) return
    const taskId = task_id.value
    const agent = agent_id === undefined ? {} : { agentId: agent_id.value }
    this.acknowledge({ taskId, ...agent, condition: 'unsure', message: state, receipt: uuid }) // D3
  }

  #error(message: string): void {
    if (message === 'Framework has been removed') {
      this.#removed()
    } else if (message === 'Framework failed over') {
      this.#fatal = new CodedError(
        'ERR_LEADERSHIP_LOST',
        'Another scheduler has subscribed with our framework id',
      )
    } else {
      this.#fatal = new CodedError('ERR_MESOS_REFUSED', `Cannot stay subscribed to Mesos: ${message}`)
    }
    this.#connection?.end(message)
  }

  /** Handles the removal of the framework, whose tasks were killed with it (D1). */
  #removed(): void {
    if (this.#options.onRemoved === 'registerAnew') {
      this.#options.log.warn('the master has removed this framework: registering anew')
      this.#frameworkId = undefined
      return
    }
    const why =
      `Cannot subscribe to Mesos: the master has removed framework ${this.#frameworkId ?? ''} and killed its tasks, ` +
      'because it was torn down or stayed away longer than mesos.failoverTimeoutSeconds'
    const hint = 'To start all functions again under a new id, set mesos.onRemoved to registerAnew'
    this.#fatal = new CodedError('ERR_MESOS_REMOVED', `${why}. ${hint}`)
  }

  launch(offerIds: readonly string[], orders: readonly LaunchOrder[]): void {
    const resources = this.#offered.cut(offerIds, orders)
    void this.#call(acceptCall(offerIds, orders, resources, this.#user)).then((refusal) => {
      if (refusal === undefined) return
      // A refused call leaves its offers outstanding, and brings no updates about its tasks.
      this.decline(offerIds)
      for (const { taskId, agentId } of orders) {
        this.#listener.event({
          kind: 'task',
          update: { taskId, agentId, condition: 'refused', message: refusal },
        })
      }
    })
  }

  decline(offerIds: readonly string[]): void {
    this.#offered.drop(offerIds)
    void this.#call(declineCall(offerIds))
  }

  kill(task: TaskRef, graceMs: number): void {
    void this.#call(killCall(task, graceMs))
  }

  acknowledge(update: TaskUpdate): void {
    if (update.agentId === undefined) {
      this.#options.log.warn(`an update of task ${update.taskId} names no agent, and cannot be acknowledged`)
      return
    }
    void this.#call(acknowledgeCall(update))
  }

  reconcile(tasks: readonly TaskRef[]): void {
    void this.#call(reconcileCall(tasks))
  }

  wantOffers(wanted: boolean): void {
    void this.#call(wantOffersCall(wanted))
  }

  async #call(call: Call): Promise<string | undefined> {
    if (this.#frameworkId === undefined || this.#connection === undefined) return undefined
    const refusal = await this.#connection.call({ framework_id: { value: this.#frameworkId }, ...call })
    if (refusal !== undefined) this.#options.log.warn(refusal)
    return refusal
  }

  #pause(delayMs: number): Promise<void> {
    return new Promise((resolve) => {
      const cancel = this.#options.clock.after(delayMs, resolve)
      this.#wake = () => {
        cancel()
        resolve()
      }
    })
  }

  #frameworkInfo() {
    const { failoverTimeoutSeconds, principal } = this.#options
    return {
      user: this.#user,
      name: 'concord',
      roles: this.#roles,
      failoverTimeoutSeconds,
      ...(principal === undefined ? {} : { principal }),
    }
  }
}

function listOf(text: string): string[] {
  return text
    .split(',')
    .map((each) => each.trim())
    .filter((each) => each !== '')
}
