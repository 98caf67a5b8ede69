/**
 * World: one simulated system: two scheduler processes, a store, a Mesos master with its agents, runners, and
 * the disturbances.
 * @module
 */
import type { Heartbeat } from '../../infra/control/messages/heartbeat.ts'
import type { FunctionDocument, SeatDocument, StatusDocument } from '../../infra/store/documents.ts'
import { AgentModel } from './agent.ts'
import type { Bug } from './bugs.ts'
import { GatewayModel, partitions } from './gateway.ts'
import { judgeRunners, judgeSeats } from './judge.ts'
import { Loop, type Process } from './loop.ts'
import { MasterModel } from './master.ts'
import { Bus, quietNetwork } from './network.ts'
import { Plane } from './plane.ts'
import { Random } from './random.ts'
import { RunnerModel } from './runner.ts'
import { SchedulerModel } from './scheduler.ts'
import type { Disturbance, Script } from './script.ts'
import { StoreModel } from './store.ts'
import { must } from './violation.ts'

const agentResources = { cpus: 4, memMib: 4_096, diskMib: 4_096 }
/** While all is quiet: so that time passes without many steps. */
const calmBeatMs = 5_000
/** So many in the time of a heartbeat. */
const recordsABeat = 5
const auditMs = 5_000
/** One in so many seeds: each step of its schedulers against one from scratch. */
const checkedEvery = 20

export class World {
  readonly loop = new Loop()
  readonly store = new StoreModel()
  readonly plane: Plane
  readonly bus: Bus
  readonly gateway: GatewayModel
  readonly agents: readonly AgentModel[]
  readonly master: MasterModel
  readonly schedulers: readonly SchedulerModel[]
  readonly runners = new Map<string, RunnerModel>()
  readonly #bugs: ReadonlySet<Bug>
  readonly #random: Random
  readonly #beatMs: number
  /** Come back in their time, whatever else is mended. */
  readonly #away = new Set<AgentModel>()
  #isCalm = false
  #swapsFail = false
  #hasMoved = false
  #hasReseated = false

  constructor({ seed, network, beatMs, disturbances }: Script, bugs: ReadonlySet<Bug>) {
    const { loop, store } = this
    this.#bugs = bugs
    this.#beatMs = beatMs
    const random = new Random(seed)
    this.#random = random
    this.bus = new Bus(loop, new Random(seed + 1), network)
    this.plane = new Plane(bugs)
    const wireMs = (): number => this.bus.network.wireMs
    this.agents = [0, 1, 2, 3].map(
      (i) =>
        new AgentModel({
          ...{ loop, random, host: `host-${i}`, resources: agentResources, wireMs },
          attributes: { zone: i % 2 === 0 ? 'a' : 'b' },
          spawn: (order, agent) => this.#spawn(order, agent),
          toMaster: (agent, update) =>
            agent.process.after(random.delayMs(wireMs()), () => {
              if (this.master.process.isUp) this.master.update(agent, update)
            }),
        }),
    )
    this.master = new MasterModel({ loop, random, agents: this.agents, wireMs })
    const launched = new Set<string>()
    const find = (taskId: string): RunnerModel | undefined => this.runners.get(taskId)
    this.schedulers = ['scheduler-1', 'scheduler-2'].map((name) => {
      const around = { loop, random, bus: this.bus, store, master: this.master }
      const isChecked = seed % checkedEvery === 0
      return new SchedulerModel({ name, ...around, bugs, isChecked, find, launched })
    })
    this.gateway = new GatewayModel(loop, store)
    store.onWanted = () => {
      for (const scheduler of this.schedulers) if (scheduler.leads) scheduler.look()
    }
    store.onSeats = () => {
      this.#hasReseated = this.#hasMoved = true
    }
    this.gateway.deploy(seed * 3, 3)
    for (const disturbance of disturbances)
      loop.after(disturbance.atMs, () => {
        if (!this.#isCalm) this.#disturb(disturbance)
      })
    this.#sendOn()
    this.#auditOn()
  }

  /** One event, and all that must hold after it. @returns False if nothing is left to happen before `untilMs`. */
  step(untilMs?: number): boolean {
    if (!this.loop.step(untilMs)) return false
    if (this.#hasReseated) judgeSeats(this.store)
    if (this.#hasMoved) judgeRunners(this.store, this.runners.values())
    this.#hasReseated = this.#hasMoved = false
    return true
  }

  /** Nothing is disturbed any more, and all that was is mended, or comes back in its time. */
  calm(): void {
    this.#isCalm = true
    this.#swapsFail = false
    this.bus.network = quietNetwork
    this.loop.trace?.('── faults stop')
    for (const scheduler of this.schedulers) {
      scheduler.process.continue()
      if (scheduler.process.isCut) scheduler.cutBus(false)
    }
    for (const agent of this.agents) if (!this.#away.has(agent)) this.#mend(agent)
    for (const runner of this.runners.values()) if (!this.#away.has(runner.options.agent)) this.#reach(runner)
  }

  /** What of the wanted is not so yet; undefined: all is as it should be. */
  get amiss(): string | undefined {
    const { store, master } = this
    if (this.#away.size > 0) return 'a machine has not come back'
    const leaders = this.schedulers.filter(({ leads, process }) => leads && process.isUp)
    if (leaders.length !== 1) return `${leaders.length} schedulers lead`
    if (!leaders[0]!.isIdle) return 'the leader is at work'
    for (const [taskId, { beat, assigned }] of leaders[0]!.state.tasks)
      if (assigned === undefined || beat?.generation !== assigned.generation)
        return `${taskId} is not known to do what it should`
    const [command] = store.names('command')
    if (command !== undefined) return `command ${command} is not done`
    const alive = [...this.runners.values()].filter(({ process }) => process.isUp)
    for (const name of store.names('function')) {
      const amiss = this.#amissOf(name, store.get<FunctionDocument>('function', name)!.value, alive)
      if (amiss !== undefined) return amiss
    }
    const stranger = alive.find(({ taskId }) => store.get('task', taskId) === undefined)
    if (stranger !== undefined) return `${stranger.taskId} runs, and the store does not know it`
    const empty = alive.find(({ instances }) => instances.size === 0)
    if (empty !== undefined) return `${empty.taskId} runs, and nothing in it`
    if (store.names('task').length !== alive.length) return 'the store knows tasks that are gone'
    const seated = alive.reduce((sum, { instances }) => sum + instances.size, 0)
    if (store.names('seat').length !== seated) return 'the store has seats without an instance'
    const taker = store.values<SeatDocument>('seat').find(({ awaited = [] }) => awaited.length > 0)
    if (taker !== undefined) return `${taker.instance} is not known to have the shares that it awaits`
    for (const agent of this.agents)
      for (const [taskId, { pending }] of agent.tasks)
        if (pending.length > 0) return `an update of ${taskId} is not acknowledged`
    const leaked = master.leaked()
    return leaked === undefined ? undefined : `offer ${leaked.id} is not answered`
  }

  #amissOf(name: string, document: FunctionDocument, alive: readonly RunnerModel[]): string | undefined {
    if (document.deleted === true) return `${name} is deleted, and there`
    const { canary } = document
    if (canary?.version === document.version && canary.promoted !== true)
      return `v${canary.version} of ${name} is still a canary`
    const instances = alive.flatMap((runner) =>
      [...runner.instances.values()].filter(({ functionName }) => functionName === name),
    )
    if (instances.length !== document.instances)
      return `${name} has ${instances.length} instances of ${document.instances}`
    const other = instances.find(({ version, isRunning }) => version !== document.version || !isRunning)
    if (other !== undefined) return `${other.name} runs v${other.version}, not v${document.version}`
    const owned = instances.flatMap(({ owns }) => [...owns.values()].filter(({ isServed }) => isServed))
    if (document.instances > 0 && owned.length !== partitions)
      return `${name} works on ${owned.length} of ${partitions} shares`
    const states = this.store.get<StatusDocument>('status', name)?.value.instances ?? []
    const sad = states.find(({ state }) => state !== 'running')
    if (sad !== undefined) return `${sad.id} is ${sad.state}: ${sad.why}`
    return states.length === document.instances ? undefined : `${name}: the status has ${states.length}`
  }

  #spawn(order: RunnerModel['options']['order'], agent: AgentModel): RunnerModel {
    const { loop, bus, plane } = this
    const runner = new RunnerModel({
      ...{ loop, random: this.#random, bus, plane, bugs: this.#bugs, order, agent },
      beatMs: () => (this.#isCalm ? calmBeatMs : this.#beatMs),
      swapFails: () => this.#swapsFail,
      beat: (heartbeat, from) => this.#beat(heartbeat, from),
      find: (taskId) => this.runners.get(taskId),
      onChange: () => {
        this.#hasMoved = true
      },
    })
    runner.process.isCut = agent.isIsolated
    this.runners.set(order.taskId, runner)
    return runner
  }

  #beat(heartbeat: Heartbeat, from: Process): void {
    for (const scheduler of this.schedulers)
      if (scheduler.leads) this.bus.send(from, scheduler.process, () => scheduler.hear(heartbeat))
  }

  /** Records come all the time. */
  #sendOn(): void {
    this.loop.after((this.#isCalm ? 2 * calmBeatMs : this.#beatMs) / recordsABeat, () => {
      const names = this.store.names('function')
      const name = this.#random.pick(names)
      if (name !== undefined) this.plane.send(name, this.#random.below(partitions))
      this.#sendOn()
    })
  }

  /** What is looked at now and then: what has been wrong for too long. */
  #auditOn(): void {
    this.loop.after(auditMs, () => {
      const offer = this.master.leaked()
      const isDeaf = this.schedulers.some(({ process }) => process.isStopped)
      must(offer === undefined || isDeaf, 'offers are answered', () => `${offer?.id} is held`)
      this.#auditOn()
    })
  }

  #disturb({ kind, choice }: Disturbance): void {
    const some = <T>(of: readonly T[]): T | undefined => of[choice % Math.max(1, of.length)]
    const forMs = [100, 2_000, 20_000, 150_000][(choice >> 3) % 4]!
    const scheduler = this.schedulers.find(({ leads }) => leads) ?? this.schedulers[0]!
    const agent = some(this.agents)!
    const runner = some([...this.runners.values()].filter(({ process }) => process.isUp))
    const later = (run: () => void): void => void this.loop.after(forMs, run)
    this.loop.trace?.(`── ${kind} (${choice})`)
    switch (kind) {
      case 'deploy':
        return this.gateway.deploy(choice)
      case 'deployCanary':
        return this.gateway.deployCanary(choice)
      case 'scale':
        return this.gateway.scale(choice)
      case 'autoscale':
        return scheduler.scale(choice)
      case 'delete':
        return this.gateway.delete(choice)
      case 'command':
        return this.gateway.command(choice)
      case 'killScheduler':
        return scheduler.die('SIGKILL', choice % 3 === 0 ? 4_000 : 10)
      case 'stopScheduler':
        scheduler.stop()
        return later(() => scheduler.process.continue())
      case 'loseSession':
        return scheduler.loseSession()
      case 'breakLink':
        return scheduler.breakLink(choice % 2 === 0 ? 0 : 45_000)
      case 'cutScheduler':
        scheduler.cutBus(true)
        return later(() => scheduler.cutBus(false))
      case 'moveClock':
        scheduler.skewMs += [-3_600_000, -5_000, 5_000, 3_600_000][choice % 4]!
        return
      case 'failMaster':
        return this.master.failOver(1_000 + (choice % 10_000))
      case 'cutAgent':
      case 'isolateAgent':
        agent.isCutOff = true
        if (kind === 'isolateAgent') this.#isolate(agent)
        this.master.lose(agent)
        return later(() => this.#mend(agent))
      case 'switchOffAgent':
        agent.off()
        this.master.lose(agent)
        return later(() => this.#mend(agent))
      case 'stopAgent':
        this.#stop(agent)
        return later(() => this.#mend(agent))
      case 'killRunner':
        return runner?.kill()
      case 'crashRunner':
        return runner?.end('memory', 'too much', some([...runner.instances.keys()]))
      case 'failInstance':
        return runner?.fail(some([...runner.instances.keys()]) ?? '')
      case 'cutRunner':
        if (runner === undefined) return
        runner.process.isCut = true
        return later(() => this.#reach(runner))
      case 'loseRunner':
        if (runner !== undefined) this.#lose(runner, choice)
        return
      case 'loseUnwanted': {
        // Others take its shares, and nobody its slot.
        const instance = some([...(runner?.instances.values() ?? [])])
        if (instance === undefined) return
        this.gateway.shrink(instance.functionName, instance.index)
        this.#away.add(runner!.options.agent)
        return this.#lose(runner!, choice)
      }
      case 'failSwaps':
        this.#swapsFail = true
        return later(() => {
          this.#swapsFail = false
        })
    }
  }

  /** The worst of them: nobody hears of it, it counts as gone, and it comes back. */
  #lose({ process, options }: RunnerModel, choice: number): void {
    process.isCut = true
    options.agent.isCutOff = true
    this.master.lose(options.agent)
    this.loop.after(100_000 + (choice % 100_000), () => this.#mend(options.agent))
  }

  #runnersOn(agent: AgentModel): RunnerModel[] {
    return [...this.runners.values()].filter(
      ({ options, process }) => options.agent === agent && process.isUp,
    )
  }

  #isolate(agent: AgentModel): void {
    agent.isIsolated = true
    for (const runner of this.#runnersOn(agent)) runner.process.isCut = true
  }

  #stop(agent: AgentModel): void {
    agent.process.stop()
    agent.isCutOff = true
    this.master.lose(agent)
    for (const runner of this.#runnersOn(agent)) runner.process.stop()
  }

  #mend(agent: AgentModel): void {
    this.#away.delete(agent)
    const wasAway = agent.isCutOff || !agent.process.isUp || agent.process.isStopped
    agent.isCutOff = agent.isIsolated = false
    if (!agent.process.isUp) agent.boot()
    agent.process.continue()
    for (const runner of this.#runnersOn(agent)) {
      runner.process.continue()
      this.#reach(runner)
    }
    if (wasAway) this.master.comeBack(agent)
  }

  #reach(runner: RunnerModel): void {
    if (!runner.process.isCut) return
    runner.process.isCut = false
    for (const instance of runner.instances.values()) instance.reconnected()
  }
}
