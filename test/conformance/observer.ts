/**
 * Observer: stands where the scheduler stands, behind the engine: sees every event, and makes the calls.
 * @module
 */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import type { TestContext } from 'node:test'
import { systemClock } from '../../infra/clock.ts'
import type {
  EngineEvent,
  LaunchOrder,
  Offer,
  TaskCondition,
  TaskRef,
  TaskUpdate,
} from '../../scheduler/engine.ts'
import { MesosEngine, type MesosOptions } from '../../scheduler/mesos/index.ts'
import type { Rig } from './rig.ts'

/** What a real cluster may take: an allocation, a fetch, an agent's time-out of 75 s. */
const deadlineMs = 120_000

export class Observer {
  readonly engine: MesosEngine
  readonly events: EngineEvent[] = []
  readonly failures: Error[] = []
  readonly warnings: string[] = []
  /** What the store would hold. */
  known: TaskRef[] = []
  /** Updates are acknowledged as they come. */
  acknowledges = true
  #seen = 0
  #wake: () => void = () => {}

  private constructor(rig: Rig, options: Partial<MesosOptions>) {
    const { url, role, principal, secret } = rig
    this.engine = new MesosEngine({
      url,
      role,
      failoverTimeoutSeconds: 0,
      clock: systemClock,
      random: Math.random,
      log: { info() {}, warn: (text) => this.warnings.push(text) },
      ...(principal === undefined ? {} : { principal }),
      ...(secret === undefined ? {} : { secret }),
      ...options,
    })
  }

  static start(
    t: TestContext,
    rig: Rig,
    options: Partial<MesosOptions> = {},
    known: readonly TaskRef[] = [],
  ): Observer {
    const observer = new Observer(rig, options)
    observer.known = [...known]
    t.after(() => observer.engine.close())
    observer.engine.start({
      event: (event) => observer.#take(event),
      knownTasks: () => observer.known,
      failed: (error) => {
        observer.failures.push(error)
        observer.#wake()
      },
    })
    return observer
  }

  #take(event: EngineEvent): void {
    this.events.push(event)
    if (event.kind === 'task' && event.update.receipt !== undefined && this.acknowledges)
      this.engine.acknowledge(event.update)
    this.#wake()
  }

  /** The next event for which `find` answers something; those before it are passed by. */
  async next<T>(what: string, find: (event: EngineEvent) => T | undefined): Promise<T> {
    const expiry = AbortSignal.timeout(deadlineMs)
    for (;;) {
      while (this.#seen < this.events.length) {
        const found = find(this.events[this.#seen++]!)
        if (found !== undefined) return found
      }
      assert.ok(this.failures.length === 0, `no ${what}: the engine failed: ${this.failures[0]?.message}`)
      assert.ok(!expiry.aborted, `no ${what}; last: ${JSON.stringify(this.events.slice(-4))}`)
      await this.#change(expiry)
    }
  }

  async failure(): Promise<Error> {
    const expiry = AbortSignal.timeout(deadlineMs)
    while (this.failures.length === 0) {
      assert.ok(!expiry.aborted, 'the engine did not fail')
      await this.#change(expiry)
    }
    return this.failures[0]!
  }

  #change(expiry: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve
      expiry.addEventListener('abort', () => resolve(), { once: true })
    })
  }

  connected(): Promise<string> {
    return this.next('registration', (event) => (event.kind === 'connected' ? event.frameworkId : undefined))
  }

  offers(): Promise<readonly Offer[]> {
    return this.next('offers', (event) => (event.kind === 'offers' ? event.offers : undefined))
  }

  /** The next update of a task, of one of these conditions if any are named. */
  update(taskId: string, ...conditions: TaskCondition[]): Promise<TaskUpdate> {
    return this.next(`update of ${taskId} ${conditions.join(' or ')}`, (event) => {
      if (event.kind !== 'task' || event.update.taskId !== taskId) return undefined
      return conditions.length === 0 || conditions.includes(event.update.condition) ? event.update : undefined
    })
  }

  /** Runs a script of the shell on the first offer that has room; the other offers are declined. */
  async run(
    script: string,
    more: Partial<LaunchOrder> = {},
  ): Promise<TaskRef & { readonly hostname: string }> {
    // Those that were passed by while something else was waited for are not offered again by themselves.
    const passed = this.events
      .slice(0, this.#seen)
      .flatMap((event) => (event.kind === 'offers' ? event.offers : []))
    if (passed.length > 0) this.engine.decline(passed.map((offer) => offer.id))
    this.engine.wantOffers(true)
    for (;;) {
      const offers = await this.offers()
      const taken = offers.find(({ resources }) => resources.cpus >= 0.1 && resources.memMib >= 32)
      const others = offers.filter((offer) => offer !== taken)
      if (others.length > 0) this.engine.decline(others.map((offer) => offer.id))
      if (taken === undefined) continue
      const order = orderOn(taken, script, more)
      this.engine.launch([taken.id], [order])
      this.engine.wantOffers(false)
      return { taskId: order.taskId, agentId: order.agentId, hostname: taken.hostname }
    }
  }

  /** The same, until it runs. */
  async running(script: string, more: Partial<LaunchOrder> = {}) {
    const task = await this.run(script, more)
    await this.update(task.taskId, 'running')
    return task
  }
}

export function orderOn(offer: Offer, script: string, more: Partial<LaunchOrder> = {}): LaunchOrder {
  const taskId = `conformance-${randomUUID()}`
  return {
    taskId,
    name: 'conformance',
    agentId: offer.agentId,
    resources: { cpus: 0.1, memMib: 32, diskMib: 0 },
    command: { value: '/bin/sh', arguments: ['-c', script], environment: {} },
    killGraceMs: 5_000,
    ...more,
  }
}

/** Goes on until it is told to end. */
export const staysUp = 'trap "exit 0" TERM; while :; do sleep 0.1; done'
