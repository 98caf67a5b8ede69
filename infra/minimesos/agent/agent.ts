/**
 * Agent: the tasks of one machine, and the resources that they leave.
 *
 *   A1. Tasks outlive the agent. The next agent on the same state folder adopts the living ones and reports the ended
 *       ones.
 *   A2. An agent keeps its id and its reservations as long as its state folder exists.
 *
 * It knows nothing of offers. A master may have several agents (fleet.ts); that of `concord up` has one.
 * @module
 */
import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import type { Logger } from 'pino'
import type { Clock } from '../../clock.ts'
import { readJson, writeJson } from '../json-file.ts'
import { type Resources, sum, type TaskInfo, type TaskStatus } from '../wire/index.ts'
import { findCgroupParent } from './cgroup.ts'
import { FetchCache } from './fetch-cache.ts'
import { Reserved } from './reserved.ts'
import { pruneSandboxes } from './sandbox.ts'
import { type KillOrder, Task, type TaskHost } from './task.ts'
import { TaskFolder } from './task-folder.ts'

/** How often to look for ends and kills that are not announced; only while there are tasks. */
const sweepMs = 100

export interface AgentOptions {
  readonly stateDir: string
  readonly hostname: string
  readonly attributes: readonly unknown[]
  readonly total: Resources
  /** `host:port` under which it is reached. */
  readonly endpoint: string
  readonly clock: Clock
  readonly log: Logger
}

/** What an agent tells its master. */
export interface AgentListener {
  /** Delivers a status update; repeated until it is acknowledged. */
  update(frameworkId: string, status: TaskStatus): void
  /** Resources came free. */
  freed(): void
}

export class Agent {
  readonly id: string
  readonly hostname: string
  readonly attributes: readonly unknown[]
  readonly endpoint: string
  readonly #clock: Clock
  readonly #reserved: Reserved
  readonly #host: TaskHost
  readonly #tasks = new Map<string, Task>()
  #listener: AgentListener = { update: () => {}, freed: () => {} }
  #cancelSweep: (() => void) | undefined

  constructor(options: AgentOptions) {
    this.id = loadAgentId(options.stateDir)
    this.hostname = options.hostname
    this.attributes = options.attributes
    this.#reserved = new Reserved(options)
    this.endpoint = options.endpoint
    this.#clock = options.clock
    const cgroups = findCgroupParent()
    if (cgroups === undefined) {
      options.log.warn('no memory cgroup can be made here: tasks are not held to their memory')
    }
    this.#host = {
      stateDir: options.stateDir,
      address: { agentId: this.id, endpoint: options.endpoint },
      clock: options.clock,
      log: options.log,
      cgroups,
      fetchCache: new FetchCache(join(options.stateDir, 'fetched')),
      send: (frameworkId, status) => this.#listener.update(frameworkId, status),
      ended: () => this.#listener.freed(),
      gone: (task) => this.#remove(task),
    }
    this.#recover()
  }

  /** Sets the listener for all events. */
  listen(listener: AgentListener): void {
    this.#listener = listener
  }

  tasks(frameworkId?: string): readonly Task[] {
    const all = [...this.#tasks.values()].filter((task) => !task.record.discarded)
    return frameworkId === undefined ? all : all.filter((task) => task.record.frameworkId === frameworkId)
  }

  find(frameworkId: string, taskId: string): Task | undefined {
    return this.tasks(frameworkId).find((task) => task.id === taskId)
  }

  get total(): Resources {
    return this.#reserved.total
  }

  /** RESERVE and UNRESERVE: `from`, which nobody holds, becomes `to`. */
  convert(from: Resources, to: Resources): void {
    this.#reserved.convert(from, to)
  }

  /** Resources of running tasks, including those whose framework is gone. */
  get held(): Resources {
    return sum([...this.#tasks.values()].map((task) => task.held))
  }

  /** @throws If the task's folders cannot be made. */
  launch(frameworkId: string, role: string, info: TaskInfo): void {
    const task = Task.create(this.#host, frameworkId, role, info)
    this.#tasks.set(task.record.containerId, task)
    this.#host.log.info({ task: task.id, sandbox: task.record.sandbox }, 'launching')
    void task.start()
    this.#sweepLater()
  }

  kill(frameworkId: string, taskId: string, order: KillOrder): void {
    this.find(frameworkId, taskId)?.kill(order)
  }

  acknowledge(frameworkId: string, taskId: string, uuid: string): void {
    this.find(frameworkId, taskId)?.acknowledge(uuid)
  }

  /** Sends all unacknowledged updates at once: the framework has just subscribed. */
  resend(frameworkId: string): void {
    for (const task of this.tasks(frameworkId)) task.resend()
  }

  /** Ends the tasks of a removed framework, without reports. */
  discard(frameworkId: string): void {
    for (const task of this.tasks(frameworkId)) task.discard()
  }

  /** Ends the agent, not its tasks. */
  close(): void {
    this.#cancelSweep?.()
    for (const task of this.#tasks.values()) task.close()
  }

  /** Ends the agent and its tasks at once, as when its machine loses power. */
  crash(): void {
    this.#cancelSweep?.()
    for (const task of this.#tasks.values()) task.crash()
  }

  #recover(): void {
    for (const folder of TaskFolder.all(this.#host.stateDir)) {
      const task = Task.recover(this.#host, folder)
      if (task !== undefined) this.#tasks.set(task.record.containerId, task)
    }
    for (const task of [...this.#tasks.values()]) task.resume()
    if (this.#tasks.size > 0)
      this.#host.log.info({ tasks: this.#tasks.size }, 'took up the tasks left by the agent before')
    this.#sweepLater()
  }

  #sweepLater(): void {
    if (this.#cancelSweep !== undefined || this.#tasks.size === 0) return
    this.#cancelSweep = this.#clock.after(sweepMs, () => {
      this.#cancelSweep = undefined
      for (const task of [...this.#tasks.values()]) task.sweep()
      this.#sweepLater()
    })
  }

  #remove(task: Task): void {
    this.#tasks.delete(task.record.containerId)
    pruneSandboxes(this.#host.stateDir, new Set([...this.#tasks.values()].map((t) => t.record.sandbox)))
  }
}

function loadAgentId(stateDir: string): string {
  const path = join(stateDir, 'agent.json')
  const before = readJson<{ id: string }>(path)
  if (before !== undefined) return before.id
  const id = `${randomUUID()}-S0`
  writeJson(path, { schema: 1, id })
  return id
}
