/**
 * RunnerModel: a runner as the scheduler and other runners see it: takes assignments, claims shares, hands them over,
 * sends heartbeats, drains and dies. This is what runner/host/host.ts, control.ts and handover/moves.ts do, without
 * isolates.
 *
 * So assignments are applied one after another (HI1), those of a lower leader or an older generation are refused, a
 * generation is in force when the instances that it lacks have been released (HI2), and a share is given once, to the
 * taker and epoch that the assignment names, after its outputs have been accepted (M1 of moves.ts).
 * @module
 */
import {
  type Assignment,
  assignedVersion,
  type InstanceAssignment,
} from '../../infra/control/messages/assignment.ts'
import { type ExitReason, exitCodes } from '../../infra/control/messages/exit-codes.ts'
import type { ExitReport, Heartbeat, InstanceReport } from '../../infra/control/messages/heartbeat.ts'
import type { LaunchOrder } from '../../scheduler/engine.ts'
import type { AgentModel, TaskProcess } from './agent.ts'
import {
  type Ask,
  type AskAnswer,
  type Host,
  InstanceModel,
  type Said,
  type Surroundings,
} from './instance.ts'
import { Process } from './loop.ts'

const unassignedMs = 60_000
const letGoMs = 400
const startMs = 300
/** How long a heartbeat goes on to carry the last report of an instance that has left. */
const lastReportMs = 5_000

export interface RunnerOptions extends Surroundings {
  readonly order: LaunchOrder
  readonly agent: AgentModel
  /** From one heartbeat to the next. */
  readonly beatMs: () => number
  readonly beat: (heartbeat: Heartbeat, from: Process) => void
}

export class RunnerModel implements TaskProcess, Host {
  readonly process: Process
  readonly options: RunnerOptions
  readonly instances = new Map<string, InstanceModel>()
  isDraining = false
  #assignment: Assignment | undefined
  #leaderEpoch = 0
  #generation = 0
  #inForce = 0
  #waiting: Assignment[] = []
  #isApplying = false
  /** Last reports of those that have left. */
  #departed: InstanceReport[] = []
  /** At which epoch an instance has left last (DP2). */
  readonly #left = new Map<string, number>()
  #exit: ExitReport | undefined
  #cancelBeat: () => void = () => undefined

  constructor(options: RunnerOptions) {
    this.options = options
    this.process = new Process(options.order.taskId, options.loop)
    this.process.start()
    this.process.after(unassignedMs, () => {
      if (this.#generation === 0) this.end('unassigned', 'No assignment came')
    })
    this.process.after(options.random.delayMs(startMs), () => this.#beatOn())
  }

  get taskId(): string {
    return this.options.order.taskId
  }

  /** How it would be told. */
  tell(assignment: Assignment, leaderEpoch: number): void {
    const obeysAll = this.options.bugs.has('obeys-old-leaders')
    if (leaderEpoch < this.#leaderEpoch && !obeysAll) return
    this.#leaderEpoch = leaderEpoch
    if (assignment.generation <= this.#generation && !obeysAll) return
    this.#generation = assignment.generation
    this.#waiting.push(assignment)
    this.#applyNext()
  }

  ask(ask: Ask): AskAnswer {
    return this.instances.get(ask.instance)?.answer(ask) ?? 'notYet'
  }

  terminate(): void {
    if (this.isDraining) return
    this.isDraining = true
    for (const instance of this.instances.values()) instance.suspend()
    this.changed()
    this.process.after(this.options.random.delayMs(3_000), () => this.end('drained', 'it was asked to'))
  }

  kill(): void {
    this.#end(137, undefined)
  }

  /** Ends by itself, with last words. */
  end(reason: ExitReason, message: string, instance?: string): void {
    this.#end(exitCodes[reason], { code: exitCodes[reason], reason, message, ...(instance && { instance }) })
  }

  /** An instance fails by itself. */
  fail(id: string): void {
    const instance = this.instances.get(id)
    if (instance === undefined) return
    if (this.#assignment?.packed !== true) return this.end('functionFailed', 'boom', id)
    this.#drop(id)
    const exit = { code: exitCodes.functionFailed, reason: 'functionFailed', message: 'boom' }
    const report = instance.report()
    this.#left.set(id, report.epoch)
    this.#departed.push({ ...report, state: 'failed', exit })
    this.changed()
  }

  /** Something has changed: a heartbeat at once. */
  changed(): void {
    this.options.onChange()
    this.#cancelBeat()
    this.#cancelBeat = this.process.after(20, () => this.#beatOn())
  }

  #end(code: number, exit: ExitReport | undefined): void {
    if (!this.process.isUp) return
    const { options, process } = this
    options.loop.trace?.(`runner ${this.taskId} ends: ${exit?.reason ?? 'killed'}`)
    if (exit !== undefined) {
      this.#exit = exit
      this.#beat()
    }
    process.kill()
    for (const id of [...this.instances.keys()]) this.#drop(id)
    const { agent } = options
    agent.process.after(options.random.delayMs(200), () => agent.ended(this.taskId, code))
    options.onChange()
  }

  #applyNext(): void {
    if (this.#isApplying) return
    const assignment = this.#waiting.shift()
    if (assignment === undefined || this.isDraining) return
    this.#isApplying = true
    this.#assignment = assignment
    const wanted = new Map(assignment.instances.map((instance) => [instance.id, instance]))
    this.#departed = this.#departed.filter(({ id, exit }) => exit === undefined || wanted.has(id))
    let leaving = 0
    for (const [id, instance] of this.instances) {
      const mine = wanted.get(id)
      if (mine !== undefined) instance.assign(mine, saidOf(assignment, mine))
      else {
        leaving += 1
        instance.suspend()
        this.process.after(this.options.random.delayMs(letGoMs), () => {
          this.#drop(id)
          const report = instance.report()
          this.#left.set(id, report.epoch)
          const last: InstanceReport = { ...report, state: 'stopped' }
          this.#departed.push(last)
          this.process.after(lastReportMs, () => {
            this.#departed = this.#departed.filter((left) => left !== last)
          })
          leaving -= 1
          if (leaving === 0) this.#applied(assignment)
        })
      }
    }
    if (leaving === 0) this.#applied(assignment)
  }

  #applied(assignment: Assignment): void {
    for (const instance of assignment.instances) this.#startOne(instance)
    this.#inForce = assignment.generation
    this.changed()
    this.#isApplying = false
    this.#applyNext()
  }

  #startOne({ id, epoch }: InstanceAssignment): void {
    if (this.instances.has(id) || this.#departed.some((left) => left.id === id && left.exit !== undefined))
      return
    const instance = new InstanceModel({ runner: this, id, epoch })
    if (epoch <= (this.#left.get(id) ?? -1) && !this.options.bugs.has('comes-back-as-itself')) {
      const exit = { code: exitCodes.drained, reason: 'drained', message: 'it has left before' }
      this.#departed = this.#departed.filter((left) => left.id !== id)
      this.#departed.push({ ...instance.report(), state: 'stopped', exit })
      return
    }
    this.instances.set(id, instance)
    this.options.onChange()
    this.process.after(this.options.random.delayMs(startMs), () => {
      const newest = this.#assignment?.instances.find((one) => one.id === id)
      if (this.instances.get(id) !== instance || newest === undefined || this.isDraining) return
      instance.start(newest, saidOf(this.#assignment!, newest))
      this.changed()
    })
  }

  #drop(id: string): void {
    this.instances.get(id)?.end()
    this.instances.delete(id)
    this.options.onChange()
  }

  #beatOn(): void {
    this.#beat()
    for (const instance of this.instances.values()) instance.announce()
    this.#cancelBeat = this.process.after(this.options.beatMs(), () => this.#beatOn())
  }

  #beat(): void {
    const instances = [...this.instances.values()].map((instance) => instance.report())
    this.options.beat(
      {
        ...{
          schema: 1,
          kind: 'runner',
          id: this.taskId,
          incarnation: this.taskId,
          generation: this.#inForce,
        },
        ...{ sentAtMs: this.options.loop.nowMs(), pid: 1, rssBytes: 1, cpuSeconds: 0 },
        state: this.#exit !== undefined ? 'stopped' : this.isDraining ? 'draining' : 'running',
        instances: [...instances, ...this.#departed],
        ...(this.#exit && { exit: this.#exit }),
      },
      this.process,
    )
  }
}

/** What an instance is told of the version that it is to run, and of the canary beside it. */
function saidOf(assignment: Assignment, instance: InstanceAssignment): Said {
  const { version } = assignedVersion(assignment, instance)
  return { version, canary: assignment.functions[instance.function]?.canary }
}
