/**
 * Scale: a large simulated cluster with a quiet network: it is filled, gets another leader, which hears every runner for
 * the first time, and loses an agent. Prints what each event costs the scheduler, and its memory.
 * @module
 */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import type { FunctionDocument, VersionDocument } from '../../infra/store/documents.ts'
import type { State } from '../../scheduler/core/index.ts'
import { manifestSchema } from '../../sdk/manifest/manifest.ts'
import { AgentModel } from './agent.ts'
import { judgeRunners, judgeSeats } from './judge.ts'
import { Loop } from './loop.ts'
import { MasterModel } from './master.ts'
import { Bus, type NetworkConditions, quietNetwork } from './network.ts'
import { Plane } from './plane.ts'
import { Random } from './random.ts'
import { RunnerModel } from './runner.ts'
import { SchedulerModel } from './scheduler.ts'
import { StoreModel } from './store.ts'
import { must } from './violation.ts'

export interface Size {
  readonly agents: number
  readonly functions: number
  /** Of each function. */
  readonly instances: number
}

export const full: Size = { agents: 1_000, functions: 200, instances: 50 }

/** Until the cluster was as it should be. */
export interface Phase {
  readonly name: string
  /** Of virtual time. */
  readonly seconds: number
  /** By kind of event: the CPU time that the scheduler took for each, in ms, sorted. */
  readonly tookMs: ReadonlyMap<string, readonly number[]>
}

export interface ScaleReport {
  readonly tasks: number
  /** Of the core's state, with the documents that it shares with the store. */
  readonly stateMib: number
}

const beatMs = 5_000
/** The scheduler writes one node after the other. */
const network: NetworkConditions = { ...quietNetwork, storeMs: 0 }
const longestMs = 300_000

export function runAtScale(size: Size, tell: (phase: Phase) => void): ScaleReport {
  // Nothing else of the cluster is reachable then.
  const held: { state?: State } = stateOf(size, tell)
  const tasks = held.state?.tasks.size ?? 0
  const withIt = heapBytes()
  delete held.state
  return { tasks, stateMib: (withIt - heapBytes()) / 2 ** 20 }
}

function stateOf(size: Size, tell: (phase: Phase) => void): { state?: State } {
  const cluster = new Cluster(size)
  tell(cluster.pass('the cluster is filled', () => undefined))
  tell(cluster.pass('another leader takes over', () => cluster.leader?.die('SIGKILL')))
  tell(cluster.pass('an agent is lost with its runners', () => cluster.loseAgent()))
  return { ...(cluster.leader && { state: cluster.leader.state }) }
}

class Cluster {
  readonly #size: Size
  readonly #loop = new Loop()
  readonly #random = new Random(1)
  readonly #store = new StoreModel()
  readonly #runners = new Map<string, RunnerModel>()
  readonly #agents: readonly AgentModel[]
  readonly #schedulers: readonly SchedulerModel[]
  readonly #master: MasterModel
  #tookMs = new Map<string, number[]>()
  /** The agent that was lost. */
  #lost: string | undefined

  constructor(size: Size) {
    this.#size = size
    const bus = new Bus(this.#loop, new Random(2), network)
    const plane = new Plane(new Set())
    const around = { loop: this.#loop, random: this.#random, bus, bugs: new Set<never>() }
    const wireMs = (): number => network.wireMs
    const find = (taskId: string): RunnerModel | undefined => this.#runners.get(taskId)
    this.#agents = Array.from({ length: size.agents }, (_, i) => {
      const agent: AgentModel = new AgentModel({
        ...{ loop: this.#loop, random: this.#random, host: `host-${i}`, wireMs },
        resources: { cpus: 4, memMib: 8_192, diskMib: 8_192 },
        attributes: { zone: `zone-${i % 3}`, rack: `rack-${i % 40}` },
        spawn: (order, on) => {
          const runner = new RunnerModel({
            ...{ ...around, plane, order, agent: on, find },
            beatMs: () => beatMs,
            swapFails: () => false,
            beat: (heartbeat, from) => {
              for (const scheduler of this.#schedulers)
                if (scheduler.leads) bus.send(from, scheduler.process, () => scheduler.hear(heartbeat))
            },
            onChange: () => undefined,
          })
          this.#runners.set(order.taskId, runner)
          return runner
        },
        toMaster: (on, update) =>
          on.process.after(this.#random.delayMs(wireMs()), () => this.#master.update(on, update)),
      })
      return agent
    })
    this.#master = new MasterModel({ loop: this.#loop, random: this.#random, agents: this.#agents, wireMs })
    const { store, master } = { store: this.#store, master: this.#master }
    for (let i = 0; i < size.functions; i++) this.#deploy(i)
    this.#schedulers = ['scheduler-1', 'scheduler-2'].map(
      (name) =>
        new SchedulerModel({
          ...{ ...around, name, store, master, find, isChecked: false, launched: new Set<string>() },
          took: (kind, ms) => {
            const before = this.#tookMs.get(kind)
            if (before === undefined) this.#tookMs.set(kind, [ms])
            else before.push(ms)
          },
        }),
    )
    store.onWanted = () => {
      for (const scheduler of this.#schedulers) if (scheduler.leads) scheduler.look()
    }
  }

  get leader(): SchedulerModel | undefined {
    return this.#schedulers.find(({ leads, process }) => leads && process.isUp)
  }

  /** Does something, and waits until all is as it should be again. */
  pass(name: string, disturb: () => void): Phase {
    this.#tookMs = new Map()
    const loop = this.#loop
    const startMs = loop.nowMs()
    disturb()
    do {
      must(loop.nowMs() < startMs + longestMs, 'converges', () => `${name}: ${this.#amiss}`)
      const untilMs = loop.nowMs() + 1_000
      while (loop.step(untilMs));
      loop.passTo(untilMs)
    } while (this.#amiss !== undefined)
    judgeSeats(this.#store)
    judgeRunners(this.#store, this.#runners.values())
    for (const took of this.#tookMs.values()) took.sort((a, b) => a - b)
    return { name, seconds: (loop.nowMs() - startMs) / 1_000, tookMs: this.#tookMs }
  }

  loseAgent(): void {
    const agent = this.#agents.find(({ tasks }) => tasks.size > 0)
    if (agent === undefined) return
    this.#lost = agent.id
    agent.off()
    this.#master.lose(agent)
  }

  get #amiss(): string | undefined {
    const { leader } = this
    if (leader === undefined) return 'nobody leads'
    if (!leader.isIdle) return 'the leader is at work'
    const { functions, instances } = this.#size
    let [running, told] = [0, 0]
    for (const fn of leader.state.functions.values())
      for (const slot of fn.slots) if (slot.phase === 'running') running += 1
    for (const { document, beat, assigned } of leader.state.tasks.values())
      if (document.agentId === this.#lost) return `${document.taskId} is thought to live`
      else if (assigned !== undefined && beat?.generation === assigned.generation) told += 1
    const wanted = functions * instances
    return running === wanted && told === wanted
      ? undefined
      : `${running} run, and ${told} do what they should, of ${wanted}`
  }

  /** Every other one is bound to a part of the cluster. */
  #deploy(i: number): void {
    const name = `fn-${i}`
    const constraints = [[], ['zone != zone-0'], ['rack groupBy'], ['hostname maxPer 2']][i % 4]
    const manifest = manifestSchema.parse({
      ...{ name, instances: this.#size.instances, resources: { cpus: 0.25, memMib: 64, diskMib: 32 } },
      ...{ istreams: { [`s-${i}`]: { grouping: 'groupBy' } }, ostreams: [`s-${i + 1}`] },
      placement: { constraints, priority: i % 3 },
    })
    const version: VersionDocument = {
      ...{ schema: 1, version: 1, bundleSha256: 'x', bundleBytes: 1, manifest, deployedAtMs: 0 },
    }
    const document: FunctionDocument = {
      ...{ schema: 1, version: 1, instances: this.#size.instances, createdAtMs: 0 },
    }
    this.#store.create('stream', `s-${i}`, { schema: 1, partitions: 64, raw: false })
    this.#store.create('version', `${name}@1`, version)
    this.#store.create('function', name, document)
  }
}

function heapBytes(): number {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  collect()
  return process.memoryUsage().heapUsed
}
