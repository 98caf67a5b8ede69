/**
 * Task: one command task on this agent, from its launch to the acknowledgement of its last update.
 *
 * staging (fetching) → running → ended → gone; a kill may come in any of the first two.
 *
 *   T1. All that a restarted agent must know is on disk before it takes effect (F1 of task-folder.ts, Q3 of update-queue.ts).
 *   T2. Once it has ended its resources are free, whether or not its updates are acknowledged.
 *   T3. A task that was told to end is TASK_KILLED, however it ended.
 *   T4. Of a discarded task nothing is reported.
 * @module
 */
import type { ChildProcess } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import type { Logger } from 'pino'
import type { Clock } from '../../clock.ts'
import {
  fromWire,
  isTerminal,
  type Resources,
  resources,
  scalar,
  type TaskInfo,
  type TaskState,
  type TaskStatus,
} from '../wire/index.ts'
import { Cgroup, type CgroupParent, executorMemMib } from './cgroup.ts'
import {
  commandEnded,
  type Ending,
  killedDuringLaunch,
  launchFailed,
  memoryExceeded,
  shimLost,
  wrongUser,
} from './ending.ts'
import { type AgentAddress, taskEnvironment } from './environment.ts'
import type { FetchCache } from './fetch-cache.ts'
import { fetchAll } from './fetcher.ts'
import { isAlive, signalGroup, signalGroupOf } from './process-identity.ts'
import { boundOutput, lastLine, makeSandbox, noteInSandbox } from './sandbox.ts'
import { spawnShim } from './spawn-shim.ts'
import { TaskFolder, type TaskRecord } from './task-folder.ts'
import { UpdateQueue } from './update-queue.ts'

const defaultGraceMs = 3_000
/** The grace period of a task whose framework is gone: Mesos's executor_shutdown_grace_period. */
const shutdownGraceMs = 5_000
/** How long a shim may take from claiming its task to writing who it is. */
const claimMs = 2_000
const commandStartRetryMs = 5
const crashAgainMs = 100
const crashTries = 20

/** The part of the agent that a task uses. */
export interface TaskHost {
  readonly stateDir: string
  readonly address: AgentAddress
  readonly clock: Clock
  readonly log: Logger
  readonly cgroups: CgroupParent | undefined
  readonly fetchCache: FetchCache
  /** Sends an update to the framework. */
  send(frameworkId: string, status: TaskStatus): void
  /** Resources came free. */
  ended(task: Task): void
  /** The last update is acknowledged. */
  gone(task: Task): void
}

export interface KillOrder {
  readonly graceMs?: number
  /** The bound of the task's own grace. */
  readonly graceMaxMs?: number
  /** Who asked for it, if not the framework. */
  readonly reason?: 'REASON_AGENT_DRAINING'
  /** The framework knows TASK_KILLING. */
  readonly reportKilling: boolean
}

export class Task {
  readonly #host: TaskHost
  readonly #folder: TaskFolder
  readonly #updates: UpdateQueue
  readonly #fetching = new AbortController()
  /** Not known any more to an agent that adopts the task meanwhile. */
  #killReason: Pick<Ending, 'reason'> = {}
  readonly #bornMs: number
  #record: TaskRecord
  #stage: 'staging' | 'running' | 'ended'
  /** Undefined before the start, and for an adopted shim, whose end has to be polled for. */
  #shim: ChildProcess | undefined
  #overMemory = false
  #closed = false
  #cancelKill: () => void = () => {}

  private constructor(
    host: TaskHost,
    folder: TaskFolder,
    record: TaskRecord,
    stage: 'staging' | 'running' | 'ended',
  ) {
    this.#host = host
    this.#folder = folder
    this.#record = record
    this.#stage = stage
    this.#bornMs = host.clock.monotonicMs()
    this.#updates = new UpdateQueue({
      clock: host.clock,
      pending: record.pending,
      send: (status) => host.send(record.frameworkId, status),
      save: (pending, acknowledged) => this.#savePending(pending, acknowledged),
    })
  }

  /** @throws If its folders cannot be made. */
  static create(host: TaskHost, frameworkId: string, role: string, info: TaskInfo): Task {
    const containerId = randomUUID()
    const record: TaskRecord = {
      schema: 1,
      containerId,
      frameworkId,
      role,
      info,
      sandbox: makeSandbox(host.stateDir, info.task_id.value, containerId),
      ...(host.cgroups === undefined ? {} : { cgroup: join(host.cgroups.path, `concord-${containerId}`) }),
      acknowledged: 'TASK_STAGING',
      pending: [],
    }
    const folder = TaskFolder.create(host.stateDir, containerId)
    folder.writeRecord(record)
    return new Task(host, folder, record, 'staging')
  }

  /** Adopts a task of an earlier agent; undefined if it was never started, or is finished. */
  static recover(host: TaskHost, folder: TaskFolder): Task | undefined {
    const record = folder.readRecord()
    if (record === undefined) {
      folder.remove()
      return undefined
    }
    if (isTerminal(record.acknowledged)) {
      folder.remove()
      return undefined
    }
    const ended = record.pending.some((status) => isTerminal(status.state))
    return new Task(host, folder, record, ended ? 'ended' : 'running')
  }

  get id(): string {
    return this.#record.info.task_id.value
  }

  get record(): TaskRecord {
    return this.#record
  }

  /** The last state sent to the framework (not the newest). */
  get state(): TaskState {
    return this.#updates.head?.state ?? this.#record.acknowledged
  }

  get ended(): boolean {
    return this.#stage === 'ended'
  }

  /** The resources that it holds. */
  get held(): Resources {
    return this.ended ? resources({}) : fromWire(this.#record.info.resources)
  }

  get containerStatus(): unknown {
    const { containerId, shimPid } = this.#record
    return {
      container_id: { value: containerId },
      network_infos: [{ ip_addresses: [{ protocol: 'IPv4', ip_address: '127.0.0.1' }] }],
      ...(shimPid === undefined ? {} : { executor_pid: shimPid }),
    }
  }

  /** Fetches, then starts the command. */
  async start(): Promise<void> {
    const { info, sandbox, containerId } = this.#record
    const [user, ownUser] = [info.command?.user, userInfo().username]
    if (user !== undefined && user !== ownUser) return this.#end(wrongUser(sandbox, user, ownUser))
    const uris = info.command?.uris ?? []
    if (uris.length > 0) {
      try {
        await fetchAll(uris, { sandbox, cache: this.#host.fetchCache, signal: this.#fetching.signal })
      } catch (error) {
        if (this.#fetching.signal.aborted) return this.#end(killedDuringLaunch)
        noteInSandbox(sandbox, (error as Error).message)
        return this.#end(
          launchFailed(`Failed to fetch all URIs for container '${containerId}': exited with status 1`),
        )
      }
      if (this.#fetching.signal.aborted) return this.#end(killedDuringLaunch)
    }
    this.#run()
  }

  /** Continues a recovered task. */
  resume(): void {
    if (this.ended) return
    if (this.#folder.claim()) return this.#end(launchFailed('the agent ended before the command was started'))
    if (this.#record.discarded) return this.discard()
    if (this.#folder.killDeadlineMs !== undefined) this.#awaitKill()
    this.sweep()
  }

  acknowledge(uuid: string): void {
    this.#updates.acknowledge(uuid)
    if (this.ended && this.#updates.head === undefined) this.#forget()
  }

  /** Sends what is pending at once: the framework has just subscribed. */
  resend(): void {
    this.#updates.flush()
  }

  kill(order: KillOrder): void {
    if (this.#stage === 'ended') return
    if (this.#stage === 'staging') {
      this.#fetching.abort()
      return
    }
    const before = this.#folder.killDeadlineMs
    const policyMs = (this.#record.info.kill_policy?.grace_period?.nanoseconds ?? defaultGraceMs * 1e6) / 1e6
    const graceMs = Math.min(order.graceMs ?? policyMs, order.graceMaxMs ?? Number.POSITIVE_INFINITY)
    const deadlineMs = this.#host.clock.nowMs() + graceMs
    this.#folder.killDeadlineMs = Math.min(before ?? deadlineMs, deadlineMs)
    if (before === undefined || order.reason !== undefined)
      this.#killReason = order.reason === undefined ? {} : { reason: order.reason }
    if (before === undefined) {
      if (order.reportKilling)
        this.#report({ state: 'TASK_KILLING', source: 'SOURCE_EXECUTOR', ...this.#killReason })
      this.#signal('SIGTERM')
    }
    this.#awaitKill()
  }

  /** Ends it and forgets it: its framework is no more. */
  discard(): void {
    this.#updates.close()
    this.#save({ discarded: true, pending: [] })
    if (this.ended) this.#forget()
    else this.kill({ graceMs: shutdownGraceMs, reportKilling: false })
  }

  /**
   * Polls for what no event announces: the end of an adopted shim, an out-of-memory kill, a sandbox that is too
   * large.
   */
  sweep(): void {
    if (this.#stage !== 'running') return
    this.#boundOutput()
    if (this.#cgroup !== undefined && !this.#overMemory && this.#cgroup.oomKills > 0) {
      this.#overMemory = true
      this.#signal('SIGKILL')
    }
    if (this.#shim === undefined && !this.#shimLives()) this.#shimEnded()
  }

  /** Detaches from the task, which continues. */
  close(): void {
    this.#closed = true
    this.#fetching.abort()
    this.#updates.close()
    this.#cancelKill()
  }

  /** Simulates the death of its machine: detaches, and kills every process of the task. */
  crash(): void {
    this.close()
    if (this.#stage === 'running') this.#killAll(crashTries)
  }

  /**
   * Kills the shim and the command. The shim may be about to start the command, which has a group of its own and
   * writes its identity first.
   */
  #killAll(tries: number): void {
    const shim = this.#shim
    // Until its end is reported it is our child, so its pid cannot be reused, even before it has written its
    // identity.
    if (shim?.pid !== undefined && shim.exitCode === null && shim.signalCode === null)
      signalGroupOf(shim.pid, 'SIGKILL')
    for (const leader of [this.#folder.shim, this.#folder.command])
      if (leader !== undefined) signalGroup(leader, 'SIGKILL')
    if (tries > 1) this.#host.clock.after(crashAgainMs, () => this.#killAll(tries - 1))
  }

  #run(): void {
    const { info, sandbox } = this.#record
    try {
      this.#cgroup?.make(this.#host.cgroups!.version, this.#memLimitMib)
      const child = spawnShim({
        folder: this.#folder,
        sandbox,
        command: info.command!,
        environment: taskEnvironment(this.#record, this.#host.address),
        ...(this.#cgroup === undefined ? {} : { procsFile: this.#cgroup.procsFile }),
      })
      child.once('error', (error) => this.#end(launchFailed(error.message)))
      child.once('exit', () => this.#shimEnded())
      if (child.pid === undefined) return
      this.#shim = child
      this.#save({ shimPid: child.pid })
    } catch (error) {
      return this.#end(launchFailed((error as Error).message))
    }
    this.#stage = 'running'
    this.#report({ state: 'TASK_STARTING', source: 'SOURCE_EXECUTOR' })
    this.#report({ state: 'TASK_RUNNING', source: 'SOURCE_EXECUTOR' })
  }

  /** Signals the command's group; the shim may be about to start it. */
  #signal(signal: NodeJS.Signals): void {
    if (this.#stage !== 'running' || this.#closed) return
    const command = this.#folder.command
    if (command === undefined) this.#host.clock.after(commandStartRetryMs, () => this.#signal(signal))
    else signalGroup(command, signal)
  }

  #awaitKill(): void {
    this.#cancelKill()
    const leftMs = Math.max(0, this.#folder.killDeadlineMs! - this.#host.clock.nowMs())
    this.#cancelKill = this.#host.clock.after(leftMs, () => this.#signal('SIGKILL'))
  }

  #boundOutput(): void {
    try {
      boundOutput(this.#record.sandbox)
    } catch (error) {
      this.#host.log.warn({ task: this.id, err: error }, 'cannot cut what the task has printed')
    }
  }

  #shimLives(): boolean {
    const shim = this.#folder.shim
    return shim === undefined ? this.#host.clock.monotonicMs() - this.#bornMs < claimMs : isAlive(shim)
  }

  #shimEnded(): void {
    if (this.#stage !== 'running' || this.#closed) return
    const { exit, command, killDeadlineMs } = this.#folder
    const killed = killDeadlineMs !== undefined
    if (exit === undefined && command !== undefined) signalGroup(command, 'SIGKILL')
    if (!killed && this.#cgroup !== undefined && this.#cgroup.oomKills > 0) {
      this.#end(memoryExceeded(this.#memLimitMib, this.#cgroup.peakMib, this.#cgroup.statistics))
    } else {
      this.#end(
        exit === undefined
          ? shimLost(killed)
          : { ...commandEnded(exit, killed, lastLine(this.#record.sandbox)), ...this.#killReason },
      )
    }
  }

  #end(ending: Ending): void {
    if (this.ended || this.#closed) return
    this.#stage = 'ended'
    this.#cancelKill()
    this.#cgroup?.remove()
    this.#host.log.info({ task: this.id, state: ending.state, reason: ending.reason }, ending.message)
    this.#report(ending)
    if (this.#record.discarded) this.#forget()
    this.#host.ended(this)
  }

  #forget(): void {
    this.#updates.close()
    this.#folder.remove()
    this.#host.gone(this)
  }

  #report(news: Ending): void {
    if (this.#record.discarded) return
    const { state, message, source, reason, limitation } = news
    this.#updates.push({
      task_id: { value: this.id },
      state,
      ...(message === undefined ? {} : { message }),
      source,
      ...(reason === undefined ? {} : { reason }),
      agent_id: { value: this.#host.address.agentId },
      executor_id: { value: this.id },
      timestamp: this.#host.clock.nowMs() / 1000,
      uuid: Buffer.from(randomUUID().replaceAll('-', ''), 'hex').toString('base64'),
      ...(source === 'SOURCE_EXECUTOR' ? { container_status: this.containerStatus } : {}),
      ...(limitation === undefined ? {} : { limitation }),
    })
  }

  get #cgroup(): Cgroup | undefined {
    return this.#record.cgroup === undefined ? undefined : new Cgroup(this.#record.cgroup)
  }

  get #memLimitMib(): number {
    return scalar(fromWire(this.#record.info.resources), 'mem') + executorMemMib
  }

  #savePending(pending: readonly TaskStatus[], acknowledged: TaskStatus | undefined): void {
    this.#save({ pending, ...(acknowledged === undefined ? {} : { acknowledged: acknowledged.state }) })
  }

  #save(change: Partial<TaskRecord>): void {
    this.#record = { ...this.#record, ...change }
    this.#folder.writeRecord(this.#record)
  }
}
