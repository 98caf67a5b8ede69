/**
 * Host: the runner itself. Receives assignments, makes an isolate and a worker for each instance, and ends the
 * process.
 *
 *     unassigned → starting → running → draining → ended
 *
 * Invariants:
 *   H1. Assignments are applied one after another, in the order of their generations.
 *   H2. The process ends once, by `WatchdogPipe.end`, after a last heartbeat with the reason was flushed.
 *   H3. A generation is in force when the instances that it lacks have been released; an instance that starts under
 *       it gets what the newest assignment says.
 *   H4. If a record has broken a limit, the other instances have drained before the process ends, or have had
 *       `neighboursWaitMs` for it.
 * Design: docs/design/0005-runner.md, 0009-packing.md
 * @module
 */
import { randomBytes } from 'node:crypto'
import { connectBus, heard, type NatsConnection, type Wire } from '../../infra/bus/index.ts'
import type { Clock } from '../../infra/clock.ts'
import {
  type Assignment,
  assignedVersion,
  type FunctionAssignment,
  type Heartbeat,
  type InstanceAssignment,
  type InstanceReport,
} from '../../infra/control/messages.ts'
import { SpillStore } from '../../infra/spill/index.ts'
import type { LogLine } from '../../sdk/api/index.ts'
import { tapBytesOf } from '../../sdk/manifest/manifest.ts'
import { MetricSums } from '../../sdk/wire/user-metrics.ts'
import { Checkpoints } from '../checkpoint/checkpoints.ts'
import { StateKeeper } from '../checkpoint/state-keeper.ts'
import { FailureLog } from '../failures/failure-log.ts'
import { LetterBox } from '../failures/letter-box.ts'
import { Allowances } from '../instance/allowances.ts'
import { Worker } from '../instance/worker.ts'
import { Instance, type InstanceOptions, outputsOf, StateStore } from '../isolate/index.ts'
import {
  crash,
  type Ending,
  endingOf,
  isOfTheFunction,
  isOwnFailure,
  startFailure,
} from '../process/ending.ts'
import type { RunnerEnvironment } from '../process/environment.ts'
import { Memory } from '../process/memory.ts'
import { beginState } from '../succession/begin-state.ts'
import { renew } from '../succession/renewal.ts'
import { Control } from './control.ts'
import { Departed, neverRan } from './departed.ts'
import { Gone } from './gone.ts'
import { OtherVersions } from './other-versions.ts'
import { type Source, Sources } from './sources.ts'
import { keepTap, tapAnswer, tapOf } from './tap-file.ts'

/** Longest wait for the first assignment. */
const assignmentWaitMs = 60_000
const flushWaitMs = 1_000
/** Longest wait for the other instances after a record has ended one. Below a kill's grace period. */
const neighboursWaitMs = 8_000

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
  readonly #letters: LetterBox
  readonly #spill: SpillStore
  readonly #allowances: Allowances
  readonly #gone: Gone
  readonly #incarnation = randomBytes(8).toString('hex')
  readonly #memory: Memory
  readonly #sources: Sources
  readonly #checkpoints: Checkpoints
  readonly #workers = new Map<string, Worker>()
  /** Instances being started: by id, the only start that counts. */
  readonly #starts = new Map<string, Promise<void>>()
  readonly #departed: Departed
  readonly #others: OtherVersions
  #state: Heartbeat['state'] = 'starting'
  /** The instance because of which the process ends. */
  #brokenBy: string | undefined
  #assignment: Assignment | undefined
  #generationInForce = 0
  #ending: Ending | undefined
  #metricsUrl: string | undefined
  /** The assignments so far, applied in turn (H1). */
  #applied: Promise<void> = Promise.resolve()
  readonly #cancelWait: () => void

  constructor(options: HostOptions) {
    this.#options = options
    const { nc, environment, clock } = options
    const assetBytes = (): number => this.#sources.assetBytes
    this.#memory = new Memory({ memMib: environment.memMib, clock, workers: this.#workers, assetBytes })
    this.#sources = new Sources({
      bus: { ...environment.nats, name: `${environment.taskId} bundles` },
      memory: this.#memory,
      warn: (fn, message) => this.#log(fn.function, environment.taskId, 'warn', message, fn.version),
    })
    const checkpointBus = { ...environment.nats, name: `${environment.taskId} checkpoints` }
    this.#checkpoints = new Checkpoints(checkpointBus, environment.namespace, clock)
    this.#departed = new Departed(clock)
    this.#others = new OtherVersions({
      ...{ clock, memory: this.#memory, namespace: environment.namespace, workers: this.#workers },
      isolateOf: async (fn, worker) => this.#isolateOf(fn, worker.instance, await this.#sources.get(fn)),
      connect: () => connectBus({ ...environment.nats, name: `${environment.taskId} differences` }),
      onChange: () => this.#control.changed(),
      onOver: () => this.#keepSources(),
      log: (fn, id, level, message) => this.#log(fn.function, id, level, message, fn.version),
    })
    this.#gone = new Gone(clock)
    this.#control = new Control({
      ...{ nc, clock, namespace: environment.namespace, taskId: environment.taskId },
      beat: () => this.#heartbeat(),
      onAssign: (assignment) => this.#assign(assignment),
      onStop: (reason) => void this.stop(reason),
      onAsk: (ask) => this.#workers.get(ask.instance)?.answer(ask),
      onGate: (ask) => this.#others.judge(ask),
      onGone: (gone) => this.#gone.take(gone) && this.#control.changed(),
      onTimers: ({ instance, timers }) => this.#workers.get(instance)?.setTimers(timers),
      onTap: (id) => tapAnswer(this.#workers.get(id)?.running, id, clock.nowMs()),
    })
    const print = (id: string, message: string): void => {
      const instance = this.#assignment?.instances.find((one) => one.id === id)
      this.#log(instance?.function ?? environment.function, id, 'error', message)
    }
    this.#failures = new FailureLog({ clock, print })
    this.#letters = new LetterBox({
      ...{ clock, namespace: environment.namespace },
      connect: () => connectBus({ ...environment.nats, name: `${environment.taskId} dead letters` }),
      heard: (signal) => heard(options.wire, signal),
      onTrouble: (message) => this.warn(message),
    })
    this.#spill = new SpillStore({
      namespace: environment.namespace,
      connect: () => connectBus({ ...environment.nats, name: `${environment.taskId} spill` }),
      onTrouble: (message) => this.#log(environment.function, environment.taskId, 'warn', message),
    })
    this.#allowances = new Allowances(options.wire, environment.namespace, environment.taskId)
    this.#cancelWait = clock.after(assignmentWaitMs, () => {
      void this.#end(
        endingOf(
          'unassigned',
          `No assignment came for ${environment.taskId} within ${assignmentWaitMs / 1000} s: is a scheduler running?`,
        ),
      )
    })
  }

  /** Drains and ends with `drained`. */
  async stop(reason: string): Promise<void> {
    if (this.#state === 'draining' || this.#ending !== undefined) return
    this.#state = 'draining'
    this.#control.changed()
    // First those that work, since an assignment being applied may wait for them; then those started meanwhile.
    await Promise.allSettled([...this.#workers.values()].map((worker) => worker.stop()))
    await this.#applied
    await Promise.allSettled(this.#starts.values())
    await Promise.allSettled([...this.#workers.values()].map((worker) => worker.stop()))
    await this.#end(endingOf('drained', reason))
  }

  /** Writes a problem of the whole runner to the function's log. */
  warn(message: string): void {
    const { function: name, taskId } = this.#options.environment
    this.#log(name, taskId, 'warn', message)
  }

  #assign(assignment: Assignment): void {
    this.#cancelWait()
    this.#applied = this.#applied
      .then(() => this.#apply(assignment))
      .catch((error: unknown) => this.#end(crash(error)))
  }

  async #apply(assignment: Assignment): Promise<void> {
    if (this.#state === 'draining' || this.#ending !== undefined) return
    const first = this.#assignment === undefined
    this.#assignment = assignment
    const wanted = new Map(assignment.instances.map((instance) => [instance.id, instance]))
    for (const id of [...this.#starts.keys()]) if (!wanted.has(id)) this.#starts.delete(id)
    this.#departed.forget((id) => !wanted.has(id))
    this.#keepSources()
    await Promise.all(
      [...this.#workers].map(([id, worker]) => {
        const instance = wanted.get(id)
        if (instance === undefined) return this.#stopOne(id, worker)
        return worker.reassign(assignedVersion(assignment, instance), instance)
      }),
    )
    this.#wantOthers()
    for (const instance of assignment.instances) this.#startOne(assignment, instance)
    this.#generationInForce = assignment.generation
    this.#changed()
    if (first) await this.#serveMetrics()
  }

  #keepSources(): void {
    const atWork = [...this.#workers.values()].map(({ running }) => running.assignment)
    const { functions = {}, others = {} } = this.#assignment ?? {}
    this.#sources.keepOnly([...Object.values(functions), ...Object.values(others)], atWork)
  }

  #wantOthers(): void {
    for (const instance of this.#assignment?.instances ?? []) {
      const worker = this.#workers.get(instance.id)
      if (worker === undefined) continue
      this.#others.want(instance.id, worker, assignedVersion(this.#assignment!, instance))
    }
  }

  #reportOf(id: string, worker: Worker): InstanceReport {
    return { ...worker.report(), ...this.#others.report(id, worker) }
  }

  async #stopOne(id: string, worker: Worker): Promise<void> {
    this.#others.forget(id)
    await worker.stop()
    this.#workers.delete(id)
    this.#departed.add({ ...worker.report(), state: 'stopped' })
  }

  #startOne(assignment: Assignment, instance: InstanceAssignment): void {
    const { id } = instance
    if (this.#workers.has(id) || this.#starts.has(id) || this.#departed.hasFailed(id)) return
    if (this.#departed.refuses(instance, assignedVersion(assignment, instance).version)) return
    const isWanted = (): boolean => this.#starts.get(id) === start
    const start: Promise<void> = this.#start(assignedVersion(assignment, instance), instance, isWanted)
      .catch((error: unknown) => {
        if (isWanted()) this.#instanceEnded(instance, startFailure(error))
      })
      .finally(() => {
        if (isWanted()) this.#starts.delete(id)
        this.#changed()
      })
    this.#starts.set(id, start)
  }

  /** Restores the state, makes the isolate, and then the worker if it is still wanted. */
  async #start(fn: FunctionAssignment, instance: InstanceAssignment, isWanted: () => boolean): Promise<void> {
    const { wire, environment, clock } = this.#options
    const { id } = instance
    let worker: Worker | undefined
    const metrics = new MetricSums(this.#options.clock.nowMs())
    const state = new StateStore(fn.manifest.limits.stateMib * 2 ** 20)
    const [source, checkpointer] = await Promise.all([
      this.#sources.get(fn),
      this.#checkpoints.of(fn, instance, {
        warn: (message) => this.#log(fn.function, id, 'warn', message),
        slabOf: (bytes) => state.slabOf(bytes),
        onDue: () => worker?.checkpoint(),
        onSuperseded: (error) => this.#instanceEnded(instance, endingOf('superseded', error.message)),
      }),
    ])
    const restored = (await checkpointer?.own(instance, state.commitWord)) ?? new Map()
    for (const [partition, { slabs }] of restored) state.adopt(partition, slabs)
    const isolate = await Instance.create({ ...this.#isolateOf(fn, instance, source), state, metrics })
    if (fn.canary === undefined) await beginState(isolate, fn, () => checkpointer?.end())
    const keeper =
      checkpointer &&
      new StateKeeper(checkpointer, isolate, restored, { clock, wire, letters: this.#letters })
    const newest = await this.#newest(instance, isWanted, keeper)
    if (this.#assignment === undefined || newest === undefined) {
      checkpointer?.end()
      return isolate.kill()
    }
    worker = new Worker({
      wire,
      namespace: environment.namespace,
      clock,
      // Streams may have changed since the isolate was made.
      assignment: { ...fn, streams: { ...fn.streams, ...assignedVersion(this.#assignment, newest).streams } },
      instance: newest,
      isolate,
      ...{ keeper, metrics },
      letters: this.#letters,
      spill: this.#spill,
      ...{ allowances: this.#allowances, gone: () => this.#gone.asked },
      warn: (message) => this.#log(fn.function, id, 'warn', message),
      ask: (task, ask) => this.#control.ask(task, ask),
      onWant: () => this.#control.changed(),
      onMoved: () => this.#control.changed(),
      onHeapFull: (heapBytes) => {
        const log = (level: LogLine['level'], message: string) => this.#log(fn.function, id, level, message)
        const make = async (of: FunctionAssignment) =>
          Instance.create({ ...this.#isolateOf(of, newest, await this.#sources.get(of)), metrics })
        void renew({ worker: worker!, heapBytes, make, log })
      },
      onEnd: (ending) => this.#instanceEnded(newest, ending),
      onFailure: (_id, action, error) => {
        this.#failures.take(id, action, error)
        this.#control.changed()
      },
    })
    this.#workers.set(id, worker)
    worker.start()
    this.#wantOthers()
  }

  #isolateOf(
    fn: FunctionAssignment,
    { id, index }: Pick<InstanceAssignment, 'id' | 'index'>,
    source: Source,
  ): InstanceOptions {
    const { clock } = this.#options
    return {
      ...{ function: fn.function, version: fn.version, instance: index, manifest: fn.manifest },
      ...source,
      outputs: outputsOf(fn),
      format: fn.format,
      seed: randomBytes(32),
      nowMs: clock.nowMs(),
      tapBytes: tapBytesOf(fn.manifest),
      memory: this.#memory,
      compact: this.#assignment?.packed === true,
      log: (level, message) => this.#log(fn.function, id, level, message, fn.version),
    }
  }

  /** The instance's assignment once its state is restored (H3); undefined if it is no longer wanted. */
  async #newest(
    instance: InstanceAssignment,
    isWanted: () => boolean,
    keeper: StateKeeper | undefined,
  ): Promise<InstanceAssignment | undefined> {
    for (let taken = instance; ; ) {
      const newest = this.#assignment?.instances.find(({ id }) => id === instance.id)
      if (newest === undefined || !isWanted()) return undefined
      if (newest.epoch === taken.epoch) return newest
      await keeper?.take(newest)
      taken = newest
    }
  }

  /**
   * Handles the end of an instance. Others in a packed runner continue if the isolate was sound to its end; otherwise
   * nothing in this process can be trusted.
   */
  #instanceEnded(instance: InstanceAssignment, ending: Ending): void {
    const { id } = instance
    this.#tellLastInputs(id, ending)
    if (this.#assignment?.packed !== true || !isOwnFailure(ending) || this.#state === 'draining')
      return void this.#endBehindNeighbours({ ...ending, instance: id })
    const version = instance.version ?? this.#assignment.functions[instance.function]?.version ?? 0
    const report = this.#workers.get(id)?.report() ?? neverRan(instance, version)
    this.#workers.delete(id)
    this.#others.forget(id)
    this.#departed.add({ ...report, state: 'failed', exit: { ...ending } })
    this.#log(instance.function, id, 'error', `the instance ends (${ending.reason}): ${ending.message}`)
    this.#changed()
  }

  /** Logs the last inputs of an instance that failed by its own fault. */
  #tellLastInputs(id: string, { reason }: Ending): void {
    const worker = this.#workers.get(id)
    if (worker === undefined || !isOfTheFunction(reason)) return
    const file = tapOf(worker.running, id, this.#options.clock.nowMs())
    keepTap(file, (level, message) => this.#log(file.function, id, level, message))
  }

  #changed(): void {
    if (this.#state === 'starting' && this.#generationInForce > 0 && this.#starts.size === 0)
      this.#state = 'running'
    this.#control.changed()
  }

  async #serveMetrics(): Promise<void> {
    const { serveMetrics } = await import('./metrics.ts')
    const reports = (): InstanceReport[] => [...this.#workers.values()].map((worker) => worker.report())
    this.#metricsUrl = await serveMetrics(reports, () => this.#memory.report().memory)
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
      generation: this.#generationInForce,
      sentAtMs: clock.nowMs(),
      state: this.#ending !== undefined ? 'stopped' : this.#state,
      pid: process.pid,
      ...this.#memory.report(),
      cpuSeconds: (cpu.user + cpu.system) / 1e6,
      ...(this.#metricsUrl === undefined ? {} : { metricsUrl: this.#metricsUrl }),
      instances: [
        ...[...this.#workers].map(([id, worker]) => this.#reportOf(id, worker)),
        ...this.#departed.reports(),
      ],
      ...(this.#ending === undefined ? {} : { exit: this.#ending }),
    }
  }

  #log(
    name: string,
    instance: string,
    level: LogLine['level'],
    message: string,
    version = this.#assignment?.functions[name]?.version ?? 0,
  ): void {
    const timeMs = this.#options.clock.nowMs()
    this.#control.log({ timeMs, level, function: name, version, instance, message })
  }

  /** Lets the other instances drain first, so that their input and state pass to the next owner (H4). */
  async #endBehindNeighbours(ending: Ending): Promise<void> {
    if (this.#brokenBy !== undefined) return
    if (this.#state !== 'draining' && ['recordBroke', 'deadline'].includes(ending.reason)) {
      this.#state = 'draining'
      this.#brokenBy = ending.instance
      const neighbours = [...this.#workers].filter(([id]) => id !== ending.instance)
      await Promise.race([
        Promise.allSettled(neighbours.map(([, worker]) => worker.stop())),
        new Promise((resolve) => this.#options.clock.after(neighboursWaitMs, () => resolve(undefined))),
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
      const name = this.#options.environment.function
      if (this.#assignment === undefined) this.#log(name, name, 'error', because)
      for (const instance of this.#assignment?.instances ?? [])
        this.#log(instance.function, instance.id, 'error', because)
    }
    this.#control.end()
    await Promise.race([
      Promise.all([this.#options.nc.flush().catch(() => undefined), this.#others.close()]),
      new Promise((resolve) => this.#options.clock.after(flushWaitMs, () => resolve(undefined))),
    ])
    this.#options.end(ending)
  }
}
