/**
 * AgentModel: a machine with a Mesos agent: starts and kills tasks, and reports to the master what became of them,
 * repeating each update until it is acknowledged.
 * @module
 */
import type { LaunchOrder, Resources, TaskUpdate } from '../../scheduler/engine.ts'
import { type Loop, Process } from './loop.ts'
import type { Random } from './random.ts'

const updateAgainMs = 10_000

export interface AgentTask {
  readonly order: LaunchOrder
  /** Until it has ended. */
  isAlive: boolean
  isKilled: boolean
  /** What the master has not acknowledged, oldest first. */
  readonly pending: TaskUpdate[]
  cancelAgain: () => void
}

/** The process that a task is. */
export interface TaskProcess {
  /** SIGTERM: it is to drain. */
  terminate(): void
  /** SIGKILL. */
  kill(): void
}

export interface AgentOptions {
  readonly loop: Loop
  readonly random: Random
  readonly host: string
  readonly resources: Resources
  readonly attributes: Readonly<Record<string, string>>
  readonly wireMs: () => number
  readonly spawn: (order: LaunchOrder, agent: AgentModel) => TaskProcess
  readonly toMaster: (agent: AgentModel, update: TaskUpdate) => void
}

export class AgentModel {
  readonly process: Process
  readonly options: AgentOptions
  /** Another one after the machine was off. */
  id = ''
  /** No way to the master. */
  isCutOff = false
  /** Neither it nor what runs on it reaches anybody. */
  isIsolated = false
  readonly tasks = new Map<string, AgentTask>()
  readonly #processes = new Map<string, TaskProcess>()
  #boots = 0
  #uuids = 0

  constructor(options: AgentOptions) {
    this.options = options
    this.process = new Process(options.host, options.loop)
    this.boot()
  }

  boot(): void {
    this.id = `${this.options.host}.${this.#boots++}`
    this.process.start()
  }

  /** The machine is off, with all that runs on it. */
  off(): void {
    for (const task of this.#processes.values()) task.kill()
    this.#processes.clear()
    for (const task of this.tasks.values()) task.cancelAgain()
    this.tasks.clear()
    this.process.kill()
  }

  get used(): Resources {
    let [cpus, memMib, diskMib] = [0, 0, 0]
    for (const { order, isAlive } of this.tasks.values()) {
      if (!isAlive) continue
      cpus += order.resources.cpus
      memMib += order.resources.memMib
      diskMib += order.resources.diskMib
    }
    return { cpus, memMib, diskMib }
  }

  launch(order: LaunchOrder): void {
    const task = { order, isAlive: true, isKilled: false, pending: [], cancelAgain: () => undefined }
    this.tasks.set(order.taskId, task)
    this.#processes.set(order.taskId, this.options.spawn(order, this))
    this.#push(task, { condition: 'running', message: '' })
  }

  kill(taskId: string): void {
    const task = this.tasks.get(taskId)
    if (task === undefined || !task.isAlive || task.isKilled) return
    task.isKilled = true
    this.#processes.get(taskId)?.terminate()
    this.process.after(task.order.killGraceMs, () => this.#processes.get(taskId)?.kill())
  }

  /** A task's process has ended. */
  ended(taskId: string, exitCode: number): void {
    const task = this.tasks.get(taskId)
    if (task === undefined || !task.isAlive) return
    task.isAlive = false
    this.#processes.delete(taskId)
    this.#push(task, { condition: 'exited', exitCode, message: `Command exited with status ${exitCode}` })
  }

  acknowledge(taskId: string, receipt: string): void {
    const task = this.tasks.get(taskId)
    if (task?.pending[0]?.receipt !== receipt) return
    task.pending.shift()
    task.cancelAgain()
    if (task.pending.length === 0 && !task.isAlive) this.tasks.delete(taskId)
    else this.#send(task)
  }

  /** The master, or the framework, is there again. */
  resend(): void {
    for (const task of this.tasks.values()) this.#send(task)
  }

  #push(task: AgentTask, what: Pick<TaskUpdate, 'condition' | 'exitCode' | 'message'>): void {
    const receipt = `${this.id}#${this.#uuids++}`
    task.pending.push({ taskId: task.order.taskId, agentId: this.id, receipt, ...what })
    if (task.pending.length === 1) this.#send(task)
  }

  #send(task: AgentTask): void {
    task.cancelAgain()
    const [head] = task.pending
    if (head === undefined) return
    task.cancelAgain = this.process.after(updateAgainMs, () => this.#send(task))
    this.options.toMaster(this, head)
  }
}
