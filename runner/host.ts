/**
 * Host: the runner proper. Takes its assignment, makes an isolate and a worker for each instance, and ends.
 *
 *     unassigned → starting → running → draining → ended
 *
 * Invariants:
 *  H1. Assignments are applied one after the other, in the order of their generations.
 *  H2. The process ends once, by `WatchdogPipe.end`, after a last heartbeat that says why was flushed.
 * @module
 */
import { randomBytes } from 'node:crypto'
import { openBundles } from '../infra/bundles/index.ts'
import { connectBus, type NatsConnection, type Wire } from '../infra/bus/index.ts'
import type { Clock } from '../infra/clock.ts'
import type { Assignment, Heartbeat, InstanceAssignment, InstanceReport } from '../infra/control/messages.ts'
import type { LogLine } from '../sdk/api.ts'
import { CodedError } from '../sdk/errors.ts'
import { Control } from './control.ts'
import { type Ending, endingOf } from './ending.ts'
import type { RunnerEnvironment } from './environment.ts'
import { FailureLog } from './failure-log.ts'
import { Instance } from './isolate/index.ts'
import { outputsOf, Worker } from './worker.ts'

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
  readonly #incarnation = randomBytes(8).toString('hex')
  readonly #workers = new Map<string, Worker>()
  #state: Heartbeat['state'] = 'starting'
  #assignment: Assignment | undefined
  #generationInForce = 0
  #ending: Ending | undefined
  #metricsUrl: string | undefined
  /** H1: what was assigned so far, applied in turn. */
  #applied: Promise<void> = Promise.resolve()
  readonly #cancelWait: () => void

  constructor(options: HostOptions) {
    this.#options = options
    const { nc, environment, clock } = options
    this.#control = new Control({
      nc,
      namespace: environment.namespace,
      taskId: environment.taskId,
      function: environment.function,
      clock,
      beat: () => this.#heartbeat(),
      onAssign: (assignment) => this.#assign(assignment),
      onStop: (reason) => void this.stop(reason),
    })
    const print = (id: string, message: string): void => this.#log(id, 'error', message)
    this.#failures = new FailureLog({ clock, print })
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
    // Those at work first: what is being applied may wait for them. Then those that were started meanwhile.
    await Promise.allSettled([...this.#workers.values()].map((worker) => worker.stop()))
    await this.#applied
    await Promise.allSettled([...this.#workers.values()].map((worker) => worker.stop()))
    await this.#end(endingOf('drained', reason))
  }

  /** Instances at work; metrics read them. */
  get workers(): ReadonlyMap<string, Worker> {
    return this.#workers
  }

  #assign(assignment: Assignment): void {
    this.#cancelWait()
    this.#applied = this.#applied
      .then(() => this.#apply(assignment))
      .catch((error: unknown) => this.#end(startFailure(error)))
  }

  async #apply(assignment: Assignment): Promise<void> {
    if (this.#state === 'draining' || this.#ending !== undefined) return
    const first = this.#assignment === undefined
    this.#assignment = assignment
    if (first) await this.#startAll(assignment)
    else await this.#reassignAll(assignment)
    this.#generationInForce = assignment.generation
    if (this.#state === 'starting') this.#state = 'running'
    this.#control.changed()
    if (first) await this.#serveMetrics()
  }

  async #startAll(assignment: Assignment): Promise<void> {
    const source = await this.#fetch(assignment)
    await Promise.all(assignment.instances.map((instance) => this.#start(assignment, instance, source)))
  }

  /** By a connection of its own: JetStream on a full disk freezes each connection that asks it for something. */
  async #fetch(assignment: Assignment): Promise<{ bundle: string; sourceMap?: string }> {
    const { nats, taskId } = this.#options.environment
    const nc = await connectBus({ ...nats, name: `${taskId} bundles` })
    try {
      const bundles = await openBundles(nc)
      const text = async (sha256: string): Promise<string> =>
        new TextDecoder().decode(await bundles.get(sha256))
      const [bundle, sourceMap] = await Promise.all([
        text(assignment.bundleSha256),
        assignment.sourceMapSha256 === undefined ? undefined : text(assignment.sourceMapSha256),
      ])
      return { bundle, ...(sourceMap === undefined ? {} : { sourceMap }) }
    } finally {
      await nc.close()
    }
  }

  async #start(
    assignment: Assignment,
    instance: InstanceAssignment,
    source: { bundle: string; sourceMap?: string },
  ): Promise<void> {
    const { wire, environment, clock } = this.#options
    const isolate = await Instance.create({
      function: assignment.function,
      version: assignment.version,
      instance: instance.index,
      manifest: assignment.manifest,
      ...source,
      outputs: outputsOf(assignment),
      seed: randomBytes(32),
      nowMs: clock.nowMs(),
      log: (level, message) => this.#log(instance.id, level, message),
    })
    const worker = new Worker({
      wire,
      namespace: environment.namespace,
      clock,
      assignment,
      instance,
      isolate,
      onEnd: (ending) => void this.#end(ending),
      onFailure: (id, action, error) => {
        this.#failures.take(id, action, error)
        this.#control.changed()
      },
    })
    this.#workers.set(instance.id, worker)
    worker.start()
  }

  async #serveMetrics(): Promise<void> {
    const { serveMetrics } = await import('./metrics.ts')
    const reports = (): InstanceReport[] => [...this.#workers.values()].map((worker) => worker.report())
    this.#metricsUrl = await serveMetrics(this.#options.environment.function, reports)
  }

  async #reassignAll(assignment: Assignment): Promise<void> {
    for (const instance of assignment.instances)
      await this.#workers.get(instance.id)?.reassign(assignment, instance)
  }

  #heartbeat(): Heartbeat {
    const { environment, clock } = this.#options
    const { rss } = process.memoryUsage()
    const cpu = process.cpuUsage()
    return {
      schema: 1,
      kind: 'runner',
      id: environment.taskId,
      incarnation: this.#incarnation,
      function: environment.function,
      generation: this.#generationInForce,
      sentAtMs: clock.nowMs(),
      state: this.#ending !== undefined ? 'stopped' : this.#state,
      pid: process.pid,
      rssBytes: rss,
      cpuSeconds: (cpu.user + cpu.system) / 1e6,
      ...(this.#metricsUrl === undefined ? {} : { metricsUrl: this.#metricsUrl }),
      instances: [...this.#workers.values()].map((worker) => worker.report()),
      ...(this.#ending === undefined ? {} : { exit: this.#ending }),
    }
  }

  #log(instance: string, level: LogLine['level'], message: string): void {
    const { environment, clock } = this.#options
    const line: LogLine = {
      timeMs: clock.nowMs(),
      level,
      function: environment.function,
      version: this.#assignment?.version ?? 0,
      instance,
      message,
    }
    this.#control.log(line)
  }

  async #end(ending: Ending): Promise<void> {
    if (this.#ending !== undefined) return
    this.#ending = ending
    this.#cancelWait()
    this.#failures.flush()
    if (ending.code !== 0) {
      const instance = this.#assignment?.instances[0]?.id ?? this.#options.environment.function
      this.#log(instance, 'error', `the runner ends (${ending.reason}): ${ending.message}`)
    }
    this.#control.end()
    await Promise.race([
      this.#options.nc.flush().catch(() => undefined),
      new Promise((resolve) => this.#options.clock.after(flushWaitMs, () => resolve(undefined))),
    ])
    this.#options.end(ending)
  }
}

/** Why an assignment could not be started. */
function startFailure(error: unknown): Ending {
  const message = error instanceof Error ? error.message : String(error)
  const code = error instanceof CodedError ? error.code : ''
  if (code === 'ERR_BUNDLE_MISSING' || code === 'ERR_BUNDLE_CORRUPT') return endingOf('bundle', message)
  if (code === 'ERR_BUNDLE_LOAD' || code === 'ERR_INIT_FAILED') return endingOf('initFailed', message)
  if (code === 'ERR_DEADLINE') return endingOf('deadline', message)
  if (code === 'ERR_MEMORY') return endingOf('memory', message)
  return endingOf('crashed', error instanceof Error ? (error.stack ?? message) : message)
}
