/**
 * SchedulerModel: a scheduler process: the real core, surrounded by what scheduler.ts, performer.ts, wanted.ts and
 * the driver do, one action an event, so that it can die between any two.
 *
 *     waiting ──elected──► taking over ──sealed──► leading ──► dead, and started again
 *
 * A write to the store completes before the next action (F1 of performer.ts). Where an action writes twice, the process
 * can die between the two.
 * @module
 */
import { killGraceMs } from '../../infra/control/index.ts'
import type { Heartbeat } from '../../infra/control/messages/heartbeat.ts'
import { type Action, initialState, liveTasks, type State, step } from '../../scheduler/core/index.ts'
import type { Event } from '../../scheduler/core/state/protocol.ts'
import { checkAgainstScratch } from '../../scheduler/core/testing/scratch-check.ts'
import { checkSwaps } from '../../scheduler/core/testing/swap-check.ts'
import type { EngineEvent, LaunchOrder, Offer } from '../../scheduler/engine.ts'
import { Reconciler } from '../../scheduler/mesos/reconciler.ts'
import { steadyClock } from '../../scheduler/steady-clock.ts'
import { assertNever } from '../../sdk/errors.ts'
import { type ActionOf, describe, isWrite } from './actions.ts'
import type { Bug } from './bugs.ts'
import { judgePromotions, judgeSteps } from './canaries.ts'
import { asShadow, atStep, lowered, rollsTo, scaled, settled } from './changes.ts'
import { instancesMost } from './gateway.ts'
import { judgeActions, judgeLaunch } from './judge.ts'
import { Link } from './link.ts'
import { type Loop, Process } from './loop.ts'
import type { MasterModel } from './master.ts'
import type { Bus } from './network.ts'
import type { Random } from './random.ts'
import type { RunnerModel } from './runner.ts'
import type { Session, StoreModel } from './store.ts'
import { takeOver } from './take-over.ts'
import { readCommands, readWanted } from './wanted.ts'
import { WriterModel } from './writer.ts'

const resubscribeMs = 2_000
const sessionMs = 4_000

export interface SchedulerOptions {
  readonly name: string
  readonly loop: Loop
  readonly random: Random
  readonly bus: Bus
  readonly store: StoreModel
  readonly master: MasterModel
  readonly bugs: ReadonlySet<Bug>
  /** Whether each step is held against one that looks at everything: it takes three times as long. */
  readonly isChecked: boolean
  /** Told how long the core has thought about each event: CPU time, since a busy machine takes its own. */
  readonly took?: (kind: Event['kind'], ms: number) => void
  readonly find: (taskId: string) => RunnerModel | undefined
  /** Ids that the cluster was ever asked to launch. */
  readonly launched: Set<string>
}

export class SchedulerModel {
  readonly process: Process
  /** Of its wall clock against the true time. */
  skewMs = 0
  /** Actions that the core has asked for, but for words in the log. */
  acted = 0
  readonly #options: SchedulerOptions
  #session: Session | undefined
  #state: State = initialState({ namespace: 'ns', leaderEpoch: 0, seed: 0 })
  #leads = false
  #lives = 0
  #queue: Action[] = []
  #isPerforming = false
  readonly #writer: WriterModel
  #isReading = false
  #isDirty = false
  #cancelAlarm: () => void = () => undefined
  #link: Link | undefined
  #reconciler: Reconciler | undefined
  #nowMs: () => number = () => 0
  readonly #held = new Map<string, Offer>()

  constructor(options: SchedulerOptions) {
    this.#options = options
    this.process = new Process(options.name, options.loop)
    this.#writer = new WriterModel({
      ...{ process: this.process, store: options.store },
      session: () => this.#session,
      refused: (why) => this.die(`${why}: another scheduler leads`),
    })
    this.boot()
  }

  get leads(): boolean {
    return this.#leads
  }

  get state(): State {
    return this.#state
  }

  /** Subscribed, and nothing is left to be done. */
  get isIdle(): boolean {
    const isConnected = this.#link?.isOpen === true && this.#reconciler !== undefined
    return (
      isConnected &&
      this.#queue.length === 0 &&
      !this.#isPerforming &&
      this.#writer.isIdle &&
      !this.#isReading
    )
  }

  boot(): void {
    this.process.start()
    const { process } = this
    const { loop, store } = this.#options
    const life = ++this.#lives
    store.lead((session) => {
      if (life !== this.#lives || !process.isUp) return void loop.after(1, () => store.expire(session))
      if (process.isStopped) this.#expireIfStopped(session)
      session.onLost = () =>
        process.after(this.#options.random.delayMs(100), () => this.die('the session is lost'))
      this.#session = session
      process.after(1, () => void this.#takeOver(session))
    })
  }

  /** @param seenMs When the store sees that its session has ended. */
  die(why: string, seenMs = 0): void {
    if (!this.process.isUp) return
    this.#options.loop.trace?.(`${this.process.name} ends: ${why}`)
    this.process.kill()
    this.#leads = false
    this.#queue = []
    this.#isPerforming = this.#isReading = this.#isDirty = false
    this.#writer.clear()
    this.#held.clear()
    this.#reconciler = undefined
    const link = this.#link
    this.#link = undefined
    link?.break()
    const { loop, store, master, random } = this.#options
    if (link !== undefined) loop.after(1, () => master.unsubscribe(link))
    const session = this.#session
    this.#session = undefined
    if (session !== undefined) loop.after(seenMs, () => store.expire(session))
    loop.after(seenMs + 500 + random.below(2_000), () => this.boot())
  }

  /** SIGSTOP; its session expires if that lasts. */
  stop(): void {
    this.process.stop()
    if (this.#session !== undefined) this.#expireIfStopped(this.#session)
  }

  #expireIfStopped(session: Session): void {
    this.#options.loop.after(sessionMs, () => {
      if (this.process.isStopped) this.#options.store.expire(session)
    })
  }

  loseSession(): void {
    if (this.#session !== undefined) this.#options.store.expire(this.#session)
  }

  breakLink(noticedMs: number): void {
    const link = this.#link
    if (link === undefined) return
    link.break(noticedMs)
    this.#options.loop.after(this.#options.random.below(5_000), () => this.#options.master.unsubscribe(link))
  }

  cutBus(isCut: boolean): void {
    this.process.isCut = isCut
    if (this.#leads) this.process.after(1, () => this.#dispatch({ kind: 'bus', up: !isCut }))
  }

  hear(heartbeat: Heartbeat): void {
    if (this.#leads) this.#dispatch({ kind: 'heartbeat', heartbeat })
  }

  /** Its scaler wants so many, within the bounds that each policy has (scaling/scaler.ts). */
  scale(choice: number): void {
    const functions = [...this.#state.wanted.functions]
    const [name, wanted] = functions[choice % Math.max(1, functions.length)] ?? []
    if (!this.#leads || name === undefined || wanted === undefined) return
    const { instances } = wanted.document
    const to = Math.min(Math.max(0, instances + [-1, 1, 2][(choice >> 4) % 3]!), instancesMost)
    this.#later(() => this.#writer.change(name, scaled(instances, to)))
  }

  /** What gateways have written has changed. */
  look(): void {
    if (!this.#leads) return
    this.#isDirty = true
    if (this.#isReading) return
    this.#isReading = true
    this.#later(() => this.#read())
  }

  #later(run: () => void): void {
    this.process.after(this.#options.random.delayMs(this.#options.bus.network.storeMs), run)
  }

  #takeOver(session: Session): void {
    const { store, bugs, loop } = this.#options
    const later = (run: () => void): void => this.#later(run)
    takeOver({ store, session, bugs, later, versions: this.#writer.versions }, (restored) => {
      const { epoch: leaderEpoch } = session
      loop.trace?.(`${this.process.name} leads at epoch ${leaderEpoch}`)
      this.#state = initialState({ namespace: 'ns', leaderEpoch, seed: leaderEpoch })
      this.#leads = true
      const wallMs = (): number => this.process.nowMs() + this.skewMs
      const monotonicMs = (): number => this.process.monotonicMs()
      this.#nowMs = bugs.has('wall-clock') ? wallMs : steadyClock({ nowMs: wallMs, monotonicMs })
      this.#dispatch(restored)
      if (this.process.isCut) this.#dispatch({ kind: 'bus', up: false })
      this.look()
      this.#subscribe()
    })
  }

  // What is wanted.

  /** Commands first (wanted.ts). */
  #read(): void {
    this.#isDirty = false
    let commands = readCommands(this.#options.store)
    if (this.#options.bugs.has('forgets-commands')) {
      for (const id of commands.keys()) this.#options.store.remove('command', id, undefined)
      commands = new Map()
    }
    this.#later(() => {
      this.#isReading = false
      this.#dispatch({ kind: 'wanted', wanted: readWanted(this.#options.store, commands) })
      if (this.#isDirty) this.look()
    })
  }

  // The cluster.

  #subscribe(): void {
    const { master, random, bus } = this.#options
    if (!master.process.isUp) {
      this.process.after(random.below(resubscribeMs), () => this.#subscribe())
      return
    }
    const link: Link = new Link({
      ...{ client: this.process, master: master.process, random },
      wireMs: () => bus.network.wireMs,
      event: (event) => this.#onEngine(link, event),
      ended: (why) => this.#onLinkEnd(link, why),
    })
    this.#link = link
    master.connect(link)
  }

  #onLinkEnd(link: Link, why: string): void {
    if (this.#link !== link) return
    if (why === 'failedOver') return this.die('another scheduler has subscribed')
    this.#link = undefined
    this.#reconciler?.stop()
    this.#held.clear()
    if (this.#reconciler !== undefined) this.#dispatch({ kind: 'disconnected', why })
    this.#reconciler = undefined
    this.process.after(this.#options.random.below(resubscribeMs), () => this.#subscribe())
  }

  #onEngine(link: Link, event: EngineEvent): void {
    if (this.#link !== link) return
    if (event.kind === 'offers') for (const offer of event.offers) this.#held.set(offer.id, offer)
    if (event.kind === 'rescinded') this.#held.delete(event.offerId)
    if (event.kind === 'task' && event.update.condition !== 'unsure')
      this.#reconciler?.settled(event.update.taskId)
    this.#dispatch(event)
    if (event.kind !== 'connected') return
    let asked = 0
    this.#reconciler = new Reconciler({
      clock: this.process,
      random: () => this.#options.random.next(),
      knownTasks: () => liveTasks(this.#state),
      ask: (tasks) => {
        if (asked++ === 0 || !this.#options.bugs.has('never-asks-again'))
          this.#call((master) => master.reconcile(tasks))
      },
    })
  }

  #call(call: (master: MasterModel, link: Link) => void): void {
    const link = this.#link
    link?.toMaster(() => call(this.#options.master, link))
  }

  // The core.

  #dispatch(event: Event): void {
    if (!this.process.isUp || !this.#leads) return
    const { loop } = this.#options
    const nowMs = this.#nowMs()
    const { took } = this.#options
    const start = took && process.threadCpuUsage()
    const [state, actions] = step(this.#state, event, nowMs)
    if (start !== undefined) took?.(event.kind, process.threadCpuUsage(start).user / 1_000)
    if (this.#options.isChecked) checkAgainstScratch(this.#state, event, nowMs, [state, actions])
    checkSwaps(this.#state, event, state)
    this.#state = state
    judgeActions(state, actions, this.#held)
    judgePromotions(state, actions)
    for (const action of actions) {
      if (action.kind === 'log') {
        loop.trace?.(`${this.process.name}: ${action.message}`)
        continue
      }
      this.acted += 1
      if (action.kind === 'launch' && this.#options.bugs.has('launches-first')) this.#queue.unshift(action)
      else this.#queue.push(action)
    }
    this.#setAlarm()
    this.#performNext()
  }

  #setAlarm(): void {
    this.#cancelAlarm()
    const delayMs = this.#state.wakeAtMs - this.#nowMs()
    if (delayMs === Number.POSITIVE_INFINITY) return
    this.#cancelAlarm = this.process.after(delayMs, () => this.#dispatch({ kind: 'tick' }))
  }

  #performNext(): void {
    if (this.#isPerforming) return
    const action = this.#queue.shift()
    if (action === undefined) return
    this.#isPerforming = true
    const run = (): void => {
      this.#isPerforming = false
      if (this.#link !== undefined) this.#link.idleSinceMs = this.#options.loop.nowMs()
      this.#options.loop.trace?.(`${this.process.name} ${describe(action)}`)
      this.#perform(action)
      this.#performNext()
    }
    if (isWrite(action)) this.#later(run)
    else this.process.after(0, run)
  }

  /** What an action writes behind its first write: before the next action. */
  #thenWrite(write: () => void): void {
    if (!this.process.isUp) return
    this.#isPerforming = true
    this.#later(() => {
      this.#isPerforming = false
      write()
      this.#performNext()
    })
  }

  #perform(action: Action): void {
    const { store, bugs } = this.#options
    const writer = this.#writer
    switch (action.kind) {
      case 'saveEpoch':
        return writer.put('epoch', action.function, action.epoch)
      case 'createTask':
        return writer.put('task', action.document.taskId, action.document)
      case 'removeTask':
        return writer.remove('task', action.taskId)
      case 'createSeat':
      case 'updateSeat':
        return writer.put('seat', action.document.instance, action.document)
      case 'removeSeat':
        return writer.remove('seat', action.instance)
      case 'saveStatus':
        return writer.saveStatus(action.document, action.urgent)
      case 'lowerInstances':
        return writer.change(action.function, lowered(action.command))
      case 'settleVersion':
        writer.saveOutcome(action)
        return this.#thenWrite(() => writer.change(action.function, settled(action.good, action.outcome)))
      case 'saveCanary':
        if (bugs.has('forgets-steps')) return
        return writer.change(action.function, atStep(action.canary))
      case 'saveShadow':
        return writer.change(action.function, asShadow(action.shadow))
      case 'saveOutcome':
        return writer.saveOutcome(action)
      case 'saveRolling':
        return writer.change(action.function, rollsTo(action.rolling))
      case 'removeCommand':
        store.remove('command', action.command, undefined, this.#session)
        return
      case 'removeFunction':
        return writer.removeFunction(action)
      case 'launch':
        return this.#launch(action)
      case 'decline': {
        const isLeaky = bugs.has('leaks-an-offer') && this.#options.random.chance(0.1)
        if (!isLeaky) this.#call((master, link) => master.decline(link, action.offerIds))
        return
      }
      case 'wantOffers':
        return this.#call((master) => master.wantOffers(action.wanted))
      case 'kill': {
        const isStranger = !this.#state.tasks.has(action.taskId)
        if (!isStranger || !bugs.has('spares-strangers')) this.#call((master) => master.kill(action))
        return
      }
      case 'reconcile':
        return this.#call((master) => master.reconcile([action]))
      case 'acknowledge':
        if (!bugs.has('no-acknowledgement')) this.#call((master) => master.acknowledge(action.update))
        return
      case 'assign':
        return this.#assign(action)
      case 'askReceivers':
      case 'removeFollower':
      case 'log':
        return
      default:
        return assertNever(action)
    }
  }

  #assign({ assignment, leaderEpoch }: ActionOf<'assign'>): void {
    const runner = this.#options.find(assignment.taskId)
    judgeSteps(this.#options.store, assignment)
    if (runner === undefined) return
    this.#options.bus.send(this.process, runner.process, () => runner.tell(assignment, leaderEpoch))
  }

  #launch({ offerIds, launches }: ActionOf<'launch'>): void {
    const { store, bugs, launched } = this.#options
    const orders = launches.map(({ document }): LaunchOrder => {
      const { taskId, name, agentId, resources } = document
      const cpus = resources.cpus + (bugs.has('overcommits') ? 3 : 0)
      const command = { value: 'runner', arguments: [], environment: {} }
      return { taskId, name, agentId, resources: { ...resources, cpus }, command, killGraceMs }
    })
    if (bugs.has('launches-twice')) orders.push({ ...orders[0]!, taskId: `${orders[0]!.taskId}x` })
    if (this.#session?.isLost === false && this.#link?.isOpen) judgeLaunch(orders, store, launched)
    this.#call((master, link) => master.launch(link, offerIds, orders))
  }
}
