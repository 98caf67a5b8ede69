/**
 * Host: the runner itself. Puts its parts together, answers the scheduler through Control, and ends the process.
 *
 *     starting → running → draining → ended
 *
 *   HE1. The process ends once, by `WatchdogPipe.end`, after a last heartbeat with the reason was flushed.
 *   HE2. If a record has broken a limit, the other instances have drained before the process ends, or have had
 *        `neighboursWaitMs` for it.
 * Design: docs/design/0005-runner.md, 0009-packing.md
 * @module
 */
import { randomBytes } from 'node:crypto'
import {
  type BusOptions,
  connectBus,
  heard,
  inboxOf,
  type NatsConnection,
  type Wire,
} from '../../infra/bus/index.ts'
import { type Clock, sleep } from '../../infra/clock.ts'
import { neighboursWaitMs } from '../../infra/control/index.ts'
import type { Assignment, InstanceAssignment } from '../../infra/control/messages/assignment.ts'
import type { Heartbeat } from '../../infra/control/messages/heartbeat.ts'
import { SpillStore } from '../../infra/spill/index.ts'
import type { LogLine } from '../../sdk/api/index.ts'
import { Checkpoints } from '../checkpoint/checkpoints.ts'
import { FailureLog, type Whose, whoseOf } from '../failures/failure-log.ts'
import { LetterBox } from '../failures/letter-box.ts'
import { Allowances } from '../instance/allowances.ts'
import type { Worker } from '../instance/worker.ts'
import {
  crash,
  type Ending,
  endingOf,
  isOfRecord,
  isOfTheFunction,
  neighboursGoOn,
} from '../process/ending.ts'
import type { RunnerEnvironment } from '../process/environment.ts'
import { Memory } from '../process/memory.ts'
import { ampleShare, Relief } from '../process/relief.ts'
import { Control } from './control.ts'
import { Gone } from './gone.ts'
import { Instances } from './instances.ts'
import { Maker, type Shared } from './maker.ts'
import { OtherVersions } from './other-versions.ts'
import { Sources } from './sources.ts'
import { keepTap, tapAnswer, tapOf } from './tap-file.ts'

/** Longest wait for the first assignment. */
const assignmentWaitMs = 60_000
const flushWaitMs = 1_000

export interface HostOptions {
  readonly nc: NatsConnection
  /** The connection of the channels. */
  readonly wire: Wire
  readonly environment: RunnerEnvironment
  readonly clock: Clock
  /** Ends the process. */
  readonly end: (ending: Ending) => void
}

export class Host {
  readonly #options: HostOptions
  readonly #control: Control
  readonly #failures: FailureLog
  readonly #gone: Gone
  readonly #incarnation = randomBytes(8).toString('hex')
  readonly #memory: Memory
  readonly #relief: Relief
  /** Those at work, by id. */
  readonly #workers = new Map<string, Worker>()
  readonly #instances: Instances
  readonly #others: OtherVersions
  #state: Heartbeat['state'] = 'starting'
  /** The instance because of which the process ends. */
  #brokenBy: string | undefined
  #ending: Ending | undefined
  #servesMetrics = false
  #metricsUrl: string | undefined
  readonly #cancelWait: () => void

  constructor(options: HostOptions) {
    this.#options = options
    const { nc, environment, clock } = options
    const { namespace, taskId } = environment
    const onChange = (): void => this.#control.changed()
    const log = this.#log.bind(this)
    const assetBytes = (): number => sources.assetBytes
    this.#memory = new Memory({ memMib: environment.memMib, clock, workers: this.#workers, assetBytes })
    this.#relief = new Relief({
      ...{ clock, memory: this.#memory, workers: this.#workers },
      onFull: () => this.#tellFull(),
    })
    const sources = new Sources({
      bus: this.#busFor('bundles'),
      memory: this.#memory,
      warn: (fn, message) => log(whoseOf(fn, taskId), 'warn', message),
    })
    this.#gone = new Gone(clock)
    this.#failures = new FailureLog({
      clock,
      print: (whose, message) => log(whose, 'error', message),
    })
    const maker = new Maker({
      ...{ memory: this.#memory, sources, log },
      shared: this.#shared(),
      checkpoints: new Checkpoints(this.#busFor('checkpoints'), namespace, clock),
      assignment: () => this.#instances.assignment,
      onEnd: (instance, ending) => this.#instanceEnded(instance, ending),
    })
    this.#others = new OtherVersions({
      ...{ clock, memory: this.#memory, namespace, workers: this.#workers, onChange },
      isolateOf: (fn, worker) => maker.isolateOf(fn, worker.instance),
      connect: () => connectBus(this.#busFor('differences')),
      onOver: () => this.#instances.keepSources(),
      log: (fn, id, level, message) => log(whoseOf(fn, id), level, message),
    })
    this.#instances = new Instances({
      ...{ clock, sources, maker, others: this.#others, workers: this.#workers },
      isEnding: () => this.#isEnding,
      onChange: () => this.#changed(),
      onFailure: (instance, ending) => this.#instanceEnded(instance, ending),
    })
    this.#control = new Control({
      ...{ nc, clock, namespace, taskId },
      beat: () => this.#heartbeat(),
      onAssign: (assignment) => void this.#assign(assignment),
      onAsk: (ask) => this.#workers.get(ask.instance)?.answer(ask),
      onGate: (ask) => this.#others.judge(ask),
      onGone: (gone) => this.#gone.take(gone) && onChange(),
      onTimers: ({ instance, timers }) => this.#workers.get(instance)?.setTimers(timers),
      onState: (ask) => this.#workers.get(ask.instance)?.readState(ask),
      onTap: (id) => tapAnswer(this.#workers.get(id)?.running, id, clock.nowMs()),
    })
    this.#cancelWait = clock.after(assignmentWaitMs, () => {
      const text = `No assignment came for ${taskId} within ${assignmentWaitMs / 1000} s: is a scheduler running?`
      void this.#end(endingOf('unassigned', text))
    })
  }

  /** The options of a connection of its own. */
  #busFor(what: string): BusOptions {
    const { nats, taskId } = this.#options.environment
    return { ...nats, name: `${taskId} ${what}`, onTrouble: (message) => this.warn(message) }
  }

  /** What all workers share. */
  #shared(): Shared {
    const { wire, environment, clock } = this.#options
    const { namespace, taskId, nats } = environment
    const onTrouble = (message: string): void => this.warn(message)
    const changed = (): void => this.#control.changed()
    return {
      ...{ wire, namespace, clock, standing: this.#relief },
      letters: new LetterBox({
        ...{ clock, namespace, onTrouble },
        connect: () => connectBus(this.#busFor('dead letters')),
        ...(nats.user !== undefined && { inboxPrefix: inboxOf(nats.user) }),
        heard: (signal) => heard(wire, signal),
      }),
      spill: new SpillStore({ namespace, connect: () => connectBus(this.#busFor('spill')), onTrouble }),
      allowances: new Allowances(wire, namespace, taskId),
      gone: () => this.#gone.asked,
      ask: (task, ask) => this.#control.ask(task, ask),
      onWant: changed,
      onMoved: changed,
      onFailure: (whose, action, error) => {
        this.#failures.take(whose, action, error)
        this.#control.failed()
      },
    }
  }

  /** Drains and ends with `drained`. */
  async stop(reason: string): Promise<void> {
    if (this.#isEnding) return
    this.#state = 'draining'
    this.#control.changed()
    await this.#instances.stop()
    await this.#end(endingOf('drained', reason))
  }

  /** Writes a problem of the whole runner to the function's log. */
  warn(message: string): void {
    const { function: name, taskId } = this.#options.environment
    const { version = 0 } = this.#instances.assignment?.functions[name] ?? {}
    this.#log({ function: name, version, instance: taskId }, 'warn', message)
  }

  #tellFull(): void {
    const fn = this.#instances.assignment?.functions[this.#options.environment.function]
    if (fn !== undefined) this.warn(this.#memory.fullText(fn, ampleShare))
  }

  get #isEnding(): boolean {
    return this.#state === 'draining' || this.#ending !== undefined
  }

  async #assign(assignment: Assignment): Promise<void> {
    this.#cancelWait()
    try {
      await this.#instances.assign(assignment)
      if (!this.#isEnding) await this.#serveMetrics()
    } catch (error) {
      await this.#end(crash(error))
    }
  }

  /**
   * Handles the end of an instance. Others in a packed runner continue, or drain, if the isolate was sound to its end; otherwise
   * nothing in this process can be trusted.
   */
  #instanceEnded(instance: InstanceAssignment, ending: Ending): void {
    const { id } = instance
    const whose = this.#whose(instance)
    this.#tellLastInputs(id, ending)
    const isPacked = this.#instances.assignment?.packed === true
    if (!isPacked || !neighboursGoOn(ending, this.#state === 'draining'))
      return void this.#endBehindNeighbours({ ...ending, instance: id })
    this.#instances.fail(instance, ending)
    this.#log(whose, 'error', `the instance ends (${ending.reason}): ${ending.message}`)
    this.#changed()
  }

  /** Logs the last inputs of an instance that failed by its own fault. */
  #tellLastInputs(id: string, { reason }: Ending): void {
    const worker = this.#workers.get(id)
    if (worker === undefined || !isOfTheFunction(reason)) return
    const file = tapOf(worker.running, id, this.#options.clock.nowMs())
    keepTap(file, (level, message) => this.#log(file, level, message))
  }

  #changed(): void {
    if (this.#state === 'starting' && this.#instances.isSettled) this.#state = 'running'
    this.#control.changed()
  }

  /** Once. */
  async #serveMetrics(): Promise<void> {
    if (this.#servesMetrics) return
    this.#servesMetrics = true
    const { serveMetrics } = await import('./metrics.ts')
    const reports = () => [...this.#workers.values()].map((worker) => worker.report())
    const { namespace } = this.#options.environment
    this.#metricsUrl = await serveMetrics(namespace, reports, () => this.#memory.report().memory)
    this.#control.changed()
  }

  #heartbeat(): Heartbeat {
    const { environment, clock } = this.#options
    const cpu = process.cpuUsage()
    return {
      schema: 1,
      kind: 'runner',
      id: environment.taskId,
      incarnation: this.#incarnation,
      generation: this.#instances.generationInForce,
      sentAtMs: clock.nowMs(),
      state: this.#ending !== undefined ? 'stopped' : this.#state,
      pid: process.pid,
      ...this.#memory.report(),
      cpuSeconds: (cpu.user + cpu.system) / 1e6,
      ...(this.#metricsUrl === undefined ? {} : { metricsUrl: this.#metricsUrl }),
      instances: this.#instances.reports(),
      ...(this.#ending === undefined ? {} : { exit: this.#ending }),
    }
  }

  #whose(instance: InstanceAssignment): Whose {
    return whoseOf({ ...instance, version: this.#instances.versionOf(instance) }, instance.id)
  }

  #log({ function: name, version, instance }: Whose, level: LogLine['level'], message: string): void {
    const timeMs = this.#options.clock.nowMs()
    this.#control.log({ timeMs, level, function: name, version, instance, message })
  }

  /** Lets the other instances drain first, so that their input and state pass to the next owner (HE2). */
  async #endBehindNeighbours(ending: Ending): Promise<void> {
    if (this.#brokenBy !== undefined) return
    if (this.#state !== 'draining' && isOfRecord(ending)) {
      this.#state = 'draining'
      this.#brokenBy = ending.instance
      await Promise.race([
        this.#instances.stopNeighbours(ending.instance),
        sleep(this.#options.clock, neighboursWaitMs),
      ])
    }
    await this.#end(ending)
  }

  async #end(ending: Ending): Promise<void> {
    if (this.#ending !== undefined) return
    this.#ending = ending
    this.#cancelWait()
    this.#failures.flush()
    if (ending.code !== 0) {
      const because = `the runner ends (${ending.reason}): ${ending.message}`
      const { assignment } = this.#instances
      const name = this.#options.environment.function
      if (assignment === undefined)
        this.#log({ function: name, version: 0, instance: name }, 'error', because)
      for (const instance of assignment?.instances ?? []) this.#log(this.#whose(instance), 'error', because)
    }
    this.#control.end()
    await Promise.race([
      Promise.all([this.#options.nc.flush().catch(() => undefined), this.#others.close()]),
      sleep(this.#options.clock, flushWaitMs),
    ])
    this.#options.end(ending)
  }
}
