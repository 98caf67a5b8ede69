/**
 * Driver: the cluster engine on Apache Mesos, over its v1 scheduler HTTP API.
 *
 * States: subscribing (one attempt after another, with jittered back-off, from master to master, following the
 * standby's redirects) → subscribed (events come, calls go) → subscribing …, until closed or refused.
 *
 *  D1. A framework keeps its id over every new subscription; only when the master says that it has been removed does
 *      it register anew.
 *  D2. A subscription that another one of the same id has taken over is not fought for: the engine fails.
 * @module
 */
import { userInfo } from 'node:os'
import type { Clock } from '../../infra/clock.ts'
import { CodedError } from '../../sdk/errors.ts'
import { backoffMs } from '../backoff.ts'
import type { Engine, EngineListener, LaunchOrder, TaskRef, TaskUpdate } from '../engine.ts'
import { type Call, type Connection, subscribe } from './connection.ts'
import { Reconciler } from './reconciler.ts'
import {
  acceptCall,
  acknowledgeCall,
  declineCall,
  killCall,
  type MesosEvent,
  offersOf,
  reconcileCall,
  subscribeCall,
  updateOf,
  wantOffersCall,
} from './words.ts'

const retryBaseMs = 100
const retryMaxMs = 15_000
/** Redirects followed at once; more are two standbys that point at each other. */
const redirectsMax = 5

export interface MesosOptions {
  /** `http://host:port`, several masters separated by commas. */
  readonly url: string
  readonly principal?: string
  readonly secret?: string
  readonly role: string
  /** How long the cluster keeps our tasks while no scheduler is there. */
  readonly failoverTimeoutSeconds: number
  /** From an earlier registration. */
  readonly frameworkId?: string
  readonly clock: Clock
  readonly random: () => number
  readonly log: { info(text: string): void; warn(text: string): void }
}

export class MesosEngine implements Engine {
  readonly #options: MesosOptions
  readonly #masters: readonly string[]
  readonly #headers: Readonly<Record<string, string>>
  #listener!: EngineListener
  #frameworkId: string | undefined
  #connection: Connection | undefined
  #reconciler: Reconciler | undefined
  #registered = false
  #closed = false
  #wake: () => void = () => {}
  #running: Promise<void> = Promise.resolve()

  constructor(options: MesosOptions) {
    this.#options = options
    this.#masters = options.url.split(',').map((url) => url.trim())
    this.#frameworkId = options.frameworkId
    const login = `${options.principal ?? ''}:${options.secret ?? ''}`
    this.#headers =
      options.secret === undefined ? {} : { authorization: `Basic ${Buffer.from(login).toString('base64')}` }
  }

  start(listener: EngineListener): void {
    this.#listener = listener
    this.#running = this.#run().catch((error: unknown) => {
      if (!this.#closed) listener.failed(error as Error)
    })
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#connection?.end('closing')
    this.#wake()
    await this.#running
  }

  async #run(): Promise<void> {
    let master = 0
    let redirects = 0
    let url = this.#masters[0] as string
    for (let attempt = 0; !this.#closed; ) {
      const answer = await subscribe({
        url,
        headers: this.#headers,
        clock: this.#options.clock,
        subscribe: subscribeCall(this.#frameworkInfo(), this.#frameworkId),
        event: (event) => this.#take(event),
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
      url = this.#masters[master++ % this.#masters.length] as string
    }
  }

  /** Lives through one subscription. @returns Whether the master took us. */
  async #live(connection: Connection): Promise<boolean> {
    this.#connection = connection
    this.#registered = false
    if (this.#closed) connection.end('closing')
    const why = await connection.read()
    this.#reconciler?.stop()
    this.#reconciler = undefined
    this.#connection = undefined
    if (this.#registered) this.#listener.event({ kind: 'disconnected', why })
    if (!this.#closed) this.#options.log.warn(`the subscription has ended: ${why}`)
    if (this.#fatal !== undefined) throw this.#fatal
    return this.#registered
  }

  #fatal: Error | undefined

  #take(event: MesosEvent): void {
    switch (event.type) {
      case 'SUBSCRIBED':
        this.#subscribed(event)
        return
      case 'OFFERS':
        this.#listener.event({ kind: 'offers', offers: offersOf(event) })
        return
      case 'RESCIND':
        if (event.rescind !== undefined) {
          this.#listener.event({ kind: 'rescinded', offerId: event.rescind.offer_id.value })
        }
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
        // An agent or an executor is gone: its tasks' updates say the same, one by one.
        return
      default:
        this.#options.log.info(`the master sent an event that is not known here: ${event.type}`)
    }
  }

  #subscribed(event: MesosEvent): void {
    const frameworkId = event.subscribed?.framework_id.value
    if (frameworkId === undefined) return
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

  #update(event: MesosEvent): void {
    const update = updateOf(event)
    if (update === undefined) {
      this.#options.log.warn(`a task is in a state that is not known here: ${event.update?.status.state}`)
      return
    }
    this.#reconciler?.answered(update.taskId)
    this.#listener.event({ kind: 'task', update })
  }

  #error(message: string): void {
    if (message === 'Framework has been removed') {
      // Its tasks have been killed with it (D1).
      this.#options.log.warn('the master has removed this framework: registering anew')
      this.#frameworkId = undefined
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

  launch(offerIds: readonly string[], orders: readonly LaunchOrder[]): void {
    void this.#call(acceptCall(offerIds, orders, this.#options.role)).then((refusal) => {
      if (refusal === undefined) return
      // A refused call leaves its offers outstanding and says nothing of its tasks.
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
    void this.#call(declineCall(offerIds))
  }

  kill(task: TaskRef, graceMs: number): void {
    void this.#call(killCall(task, graceMs))
  }

  acknowledge(update: TaskUpdate): void {
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
    const { role, failoverTimeoutSeconds, principal } = this.#options
    const user = userInfo().username
    return {
      user,
      name: 'concord',
      role,
      failoverTimeoutSeconds,
      ...(principal === undefined ? {} : { principal }),
    }
  }
}
