/**
 * Scheduler: connects the core with the world. Every change in the store, on the bus or in the cluster becomes an
 * event; the core's actions are carried out.
 *
 * It exists as long as its process leads: it is made when the leadership is won, and ends when that is lost.
 * @module
 */
import type { Msg } from '@nats-io/transport-node'
import { listen, type NatsConnection, subjects } from '../infra/bus/index.ts'
import { type Clock, sleep } from '../infra/clock.ts'
import { HeartbeatJoiner, parseHeartbeat, parseNotice } from '../infra/control/index.ts'
import type { Log } from '../infra/log.ts'
import type { Registry } from '../infra/metrics.ts'
import {
  type EpochDocument,
  type FrameworkDocument,
  type Leadership,
  paths,
  type ScalingDocument,
  type SeatDocument,
  type Store,
  type TaskDocument,
} from '../infra/store/index.ts'
import type { BusWatch } from './bus-watch.ts'
import {
  disorderlyEnds,
  type Event,
  initialState,
  isUnsaid,
  type Launch,
  leftBehind,
  liveTasks,
  type State,
  startMsOf,
  step,
} from './core/index.ts'
import type { Engine, LaunchOrder, Resources } from './engine.ts'
import { SchedulerMetrics } from './metrics.ts'
import { Performer } from './performer.ts'
import { Scaler } from './scaling/index.ts'
import { StatusWriter } from './status-writer.ts'
import { steadyClock } from './steady-clock.ts'
import { WantedReader } from './wanted.ts'
import { Writer } from './writer.ts'

export interface SchedulerOptions {
  readonly namespace: string
  /** All reads and writes go through its store, so there are none after it is lost. */
  readonly leadership: Leadership
  readonly nc: NatsConnection
  readonly bus: BusWatch
  /** Makes the engine; its argument is our id in the cluster, if we have one. */
  readonly makeEngine: (frameworkId: string | undefined) => Engine
  readonly orderOf: (launch: Launch, killGraceMs: number) => LaunchOrder
  /** What all tasks of the namespace may take together. */
  readonly quota: Partial<Resources>
  readonly registry: Registry
  readonly clock: Clock
  readonly log: Log
  /** Called once, when the scheduler cannot continue. */
  readonly failed: (error: Error) => void
}

/** The bound of setTimeout; an early tick does no harm. */
const alarmMaxMs = 2_000_000_000

/** What draining everything has cost. */
export interface Emptied {
  /** The instances that did not end in order, such as those of a runner that had to be killed, each with the reason. */
  readonly killedInstances: readonly string[]
  /** Records from function to function. */
  readonly givenUpRecords: number
  /** That number is an upper bound: an instance has ended without a last word. */
  readonly givenUpIsAtMost?: true
}

export class Scheduler {
  readonly #options: SchedulerOptions
  readonly #reader: WantedReader
  readonly #metrics: SchedulerMetrics
  #engine: Engine | undefined
  #performer: Performer | undefined
  #scaler: Scaler | undefined
  #state: State
  readonly #nowMs: () => number
  #framework: FrameworkDocument | undefined
  #cancelAlarm: () => void = () => {}
  #stops: (() => void)[] = []
  #closed = false
  readonly #emptied = Promise.withResolvers<void>()

  constructor(options: SchedulerOptions) {
    this.#options = options
    const { namespace, leadership, quota } = options
    this.#reader = new WantedReader(leadership.store, namespace)
    const seed = Math.floor(Math.random() * 2 ** 32)
    this.#state = initialState({ namespace, leaderEpoch: leadership.epoch, seed, quota })
    this.#nowMs = steadyClock(options.clock)
    this.#metrics = new SchedulerMetrics(options.registry, () => this.#state)
  }

  /** Takes over from an earlier leader, and then listens. Resolves once it works. */
  async start(): Promise<void> {
    const { leadership, clock, log, namespace, nc } = this.#options
    const { store } = leadership
    const writer = new Writer(store)
    this.#framework = await writer.take<FrameworkDocument>(paths.framework)
    const engine = this.#options.makeEngine(this.#framework?.id)
    this.#engine = engine
    const failed = (error: Error) => this.#fail(error)
    const { orderOf } = this.#options
    const statuses = new StatusWriter(store, writer, namespace)
    const options = { namespace, store, writer, statuses, engine, nc, clock, log, orderOf, failed }
    this.#performer = new Performer(options)
    const restored = await this.#takeOver(writer, statuses)
    this.#scaler = await this.#makeScaler(writer, this.#performer)
    await this.#takeRest(writer)
    await leadership.seal()
    this.#dispatch(restored)
    this.#options.bus.listen((up) => this.#dispatch({ kind: 'bus', up }))
    this.#reader.watch((wanted) => {
      this.#scaler?.want(wanted)
      this.#dispatch({ kind: 'wanted', wanted })
    }, failed)
    this.#listen()
    this.#scaler.start()
    engine.start({
      event: (event) => {
        if (event.kind === 'connected') this.#keepFramework(writer, event.frameworkId)
        this.#dispatch(event)
      },
      knownTasks: () => liveTasks(this.#state),
      failed,
    })
  }

  /**
   * Drains everything, and starts nothing more. Resolves once the cluster has confirmed the end of every task.
   */
  async empty(): Promise<Emptied> {
    const sinceMs = this.#nowMs()
    const wasUnsaid = isUnsaid(this.#state)
    const leftBefore = leftBehind(this.#state, false)
    this.#dispatch({ kind: 'empty' })
    await this.#emptied.promise
    // The end of a task may overtake the last word of its runner.
    for (let looks = 0; looks < 10 && isUnsaid(this.#state); looks++) await sleep(this.#options.clock, 100)
    const killedInstances = disorderlyEnds(this.#state, sinceMs)
    const isAtMost = wasUnsaid || isUnsaid(this.#state) || killedInstances.length > 0
    const givenUpRecords = Math.max(0, leftBehind(this.#state) - leftBefore)
    return { killedInstances, givenUpRecords, ...(isAtMost && { givenUpIsAtMost: true }) }
  }

  /** Stops scheduling; the functions continue. */
  async close(): Promise<void> {
    this.#closed = true
    this.#cancelAlarm()
    this.#scaler?.close()
    this.#reader.close()
    for (const stop of this.#stops) stop()
    await this.#performer?.close()
    await this.#engine?.close()
  }

  async #takeOver(writer: Writer, statusWriter: StatusWriter): Promise<Event> {
    const { namespace } = this.#options
    const { store } = this.#options.leadership
    const wanted = await this.#reader.read()
    const tasks = await takeAll<TaskDocument>(store, writer, paths.tasks, paths.task)
    const statuses = await statusWriter.takeOver()
    const seats = await takeAll<SeatDocument>(store, writer, paths.seats, (name) => `${paths.seats}/${name}`)
    const epochs = new Map<string, number>()
    for (const name of await store.list(paths.epochs)) {
      if (!name.startsWith(`${namespace}.`)) continue
      const functionName = name.slice(namespace.length + 1)
      const taken = await writer.take<EpochDocument>(paths.epoch(namespace, functionName))
      if (taken !== undefined) epochs.set(functionName, taken.epoch)
    }
    const own = tasks.filter((task) => task.namespace === namespace && task.schema === 2)
    // Forget tasks of earlier builds: their runners are unknown from now on, and killed at their next heartbeat.
    for (const task of tasks)
      if (task.namespace === namespace && task.schema !== 2) await writer.remove(paths.task(task.taskId))
    const ownSeats = seats.filter((seat) => seat.namespace === namespace)
    this.#options.log.info({ tasks: own.length, functions: wanted.functions.size }, 'took over')
    return { kind: 'restored', tasks: own, seats: ownSeats, statuses, epochs, wanted }
  }

  async #makeScaler(writer: Writer, performer: Performer): Promise<Scaler> {
    const { clock, log, namespace, leadership } = this.#options
    const kept = new Map<string, ScalingDocument>()
    for (const name of await leadership.store.list(paths.scalings(namespace))) {
      const document = await writer.take<ScalingDocument>(paths.scaling(namespace, name))
      if (document !== undefined) kept.set(name, document)
    }
    const save = (name: string, document: ScalingDocument) => performer.saveScaling(name, document)
    const scale = (name: string, from: number, to: number) => performer.scale(name, from, to)
    const startMs = (name: string) => startMsOf(this.#state, name, this.#nowMs())
    return new Scaler({ clock, log, startMs, save, scale }, kept)
  }

  /** Takes over even documents that it does not read: any that nobody has taken over would vanish at the seal. */
  async #takeRest(writer: Writer): Promise<void> {
    await writer.takeRest(paths.scheduler)
    for (const ns of await this.#options.leadership.store.list(paths.namespaces))
      for (const path of [paths.statuses(ns), paths.allOutcomes(ns), paths.scalings(ns)])
        await writer.takeRest(path)
  }

  #keepFramework(writer: Writer, id: string): void {
    const { namespace } = this.#options
    if (this.#framework?.id === id && this.#framework.namespace === namespace) return
    const document: FrameworkDocument = { schema: 1, id, namespace }
    this.#framework = document
    this.#performer?.enqueue(() => writer.put(paths.framework, document))
  }

  #listen(): void {
    const { nc, namespace, log } = this.#options
    const joiner = new HeartbeatJoiner()
    const onBeat = ({ subject, data }: Msg): void => {
      const heartbeat = parseHeartbeat(data)
      if (heartbeat === undefined) return log.warn({ subject }, 'a heartbeat cannot be read')
      const whole = joiner.take(heartbeat)
      if (whole === undefined) return
      this.#scaler?.hear(whole)
      this.#dispatch({ kind: 'heartbeat', heartbeat: whole })
    }
    const onNotice = ({ data }: Msg): void => {
      const notice = parseNotice(data)
      if (notice !== undefined) this.#dispatch({ kind: 'allowance', notice })
    }
    const onRefused = ({ message }: Error): void => log.warn({ error: message }, 'runners cannot be heard')
    this.#stops.push(
      listen(nc, subjects.heartbeatSubject(namespace, '*'), onBeat, { onRefused }),
      listen(nc, subjects.allowanceSubject(namespace, '*'), onNotice, { onRefused }),
    )
  }

  #dispatch(event: Event): void {
    if (this.#closed) return
    try {
      const [state, actions] = step(this.#state, event, this.#nowMs())
      this.#state = state
      this.#metrics.count(event, actions)
      this.#performer?.perform(actions)
      if (state.emptying && state.tasks.size === 0) this.#emptied.resolve()
      this.#setAlarm()
    } catch (error) {
      this.#fail(error as Error)
    }
  }

  #setAlarm(): void {
    this.#cancelAlarm()
    const { clock } = this.#options
    const delayMs = this.#state.wakeAtMs - this.#nowMs()
    if (delayMs === Number.POSITIVE_INFINITY) return
    const tick = () => this.#dispatch({ kind: 'tick' })
    this.#cancelAlarm = clock.after(Math.min(alarmMaxMs, Math.max(0, delayMs)), tick)
  }

  #fail(error: Error): void {
    if (this.#closed) return
    this.#closed = true
    this.#scaler?.close()
    this.#options.failed(error)
  }
}

async function takeAll<T>(
  store: Store,
  writer: Writer,
  parent: string,
  path: (name: string) => string,
): Promise<T[]> {
  const taken: T[] = []
  for (const name of await store.list(parent)) {
    const value = await writer.take<T>(path(name))
    if (value !== undefined) taken.push(value)
  }
  return taken
}
