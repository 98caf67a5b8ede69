/**
 * Placement: how long the scheduler's core thinks about an offer.
 *
 * A cluster is filled in one step: every agent makes an offer, every instance waits. Each runner is heard for the first time,
 * says that it does as it was told, and beats on. Then offers come one by one, as they do at all times in a large cluster: while
 * nothing waits, and while something waits that fits nowhere.
 * @module
 */

import type { Assignment } from '../../infra/control/messages/assignment.ts'
import type { Heartbeat, InstanceReport } from '../../infra/control/messages/heartbeat.ts'
import type { TaskDocument } from '../../infra/store/index.ts'
import { initialState, type State, step, type WantedFunction } from '../../scheduler/core/index.ts'
import { manifestSchema } from '../../sdk/manifest/manifest.ts'
import type { Benchmark } from './suite/benchmark.ts'

interface Size {
  readonly agents: number
  readonly functions: number
  readonly instances: number
}

const sizes: Readonly<Record<string, Size>> = {
  concord: { agents: 1_000, functions: 200, instances: 50 },
  small: { agents: 100, functions: 20, instances: 50 },
}
const offersOneByOne = 2_000
const launchTimeMs = 1_000

export const placement: Benchmark = {
  name: 'placement',
  measures:
    'decisions of the scheduler about offers and heartbeats, with constraints, priorities and 10 instances on each agent: ms of one at p99 while something waits that fits nowhere, while nothing waits, and of the one that fills the cluster; of the first heartbeat of a runner, of that which says that it works, and of the next ones',
  measuresNot: 'the way of an offer from the master, the store, the launch; the reading of a heartbeat.',
  figures: {
    first: { title: 'p99, first heartbeat', unit: 'ms' },
    atWork: { title: 'p99, it is at work', unit: 'ms' },
    beat: { title: 'p99, a beat without news', unit: 'ms' },
    waiting: { title: 'p99, something waits', unit: 'ms' },
    idle: { title: 'p99, nothing waits', unit: 'ms' },
    fill: { title: 'filling it', unit: 'ms' },
  },
  subject: '1,000 agents, 10,000 instances, 200 functions',
  references: { small: '100 agents, 1,000 instances, 20 functions' },
  async open() {
    return { measure: async (side) => ({ values: measure(sizes[side] as Size) }), async close() {} }
  },
}

function measure(size: Size): Record<string, number> {
  const scene = new Scene()
  const functions = Array.from({ length: size.functions }, (_, i) => functionOf(i, size.instances, 0.25))
  scene.feed({ kind: 'connected', frameworkId: 'f' })
  scene.want(functions)
  const fill = scene.time(() => scene.offer(...Array.from({ length: size.agents }, (_, i) => i)))
  if (scene.tasks.length !== size.functions * size.instances)
    throw new Error(`${scene.tasks.length} were launched of ${size.functions * size.instances}`)
  const first = p99(scene.tasks.map((task) => scene.time(() => scene.beat(task))))
  const atWork = p99(scene.tasks.map((task) => scene.time(() => scene.beat(task))))
  const beat = p99(scene.tasks.map((task) => scene.time(() => scene.beat(task))))
  const oneByOne = () =>
    p99(Array.from({ length: offersOneByOne }, (_, i) => scene.time(() => scene.offer(i % size.agents))))
  const idle = oneByOne()
  scene.want([...functions, functionOf(size.functions, size.instances, 64)])
  const waiting = oneByOne()
  return { first, atWork, beat, waiting, idle, fill }
}

function p99(tookMs: readonly number[]): number {
  return [...tookMs].sort((a, b) => a - b)[Math.floor(tookMs.length * 0.99)] as number
}

class Scene {
  #state: State = initialState({ namespace: 'bench', leaderEpoch: 1, seed: 1 })
  #offers = 0
  readonly tasks: TaskDocument[] = []
  readonly #told = new Map<string, Assignment>()

  feed(event: Parameters<typeof step>[1]): void {
    const [state, actions] = step(this.#state, event, launchTimeMs)
    this.#state = state
    for (const action of actions) {
      if (action.kind === 'launch') this.tasks.push(...action.launches.map(({ document }) => document))
      if (action.kind === 'assign') this.#told.set(action.assignment.taskId, action.assignment)
    }
  }

  want(functions: readonly (readonly [string, WantedFunction])[]): void {
    const nothing = { streams: new Map(), followers: new Map(), commands: new Map() }
    this.feed({ kind: 'wanted', wanted: { functions: new Map(functions), ...nothing } })
  }

  offer(...agents: readonly number[]): void {
    const offers = agents.map((agent) => ({
      id: `o${this.#offers++}`,
      agentId: `agent-${agent}`,
      hostname: `agent-${agent}`,
      attributes: { zone: `zone-${agent % 3}`, rack: `rack-${agent % 40}` },
      resources: { cpus: 4, memMib: 8_192, diskMib: 8_192 },
    }))
    this.feed({ kind: 'offers', offers })
  }

  /** A runner says that it does what it was told last. */
  beat({ taskId }: TaskDocument): void {
    const told = this.#told.get(taskId)
    const instances = told?.instances.map(
      ({ id, function: name, index, epoch }): InstanceReport => ({
        ...{ id, function: name, index, version: 1, epoch, state: 'running', recordsIn: 0, recordsOut: 0 },
        ...{ errors: 0, timersFired: 0, batches: 0, stateEntries: 0, stateBytes: 0, heapBytes: 0 },
        ...{ cpuSeconds: 0, outputs: [], inputs: [] },
      }),
    )
    const heartbeat: Heartbeat = {
      ...{ schema: 1, kind: 'runner', id: taskId, incarnation: taskId, generation: told?.generation ?? 0 },
      ...{ sentAtMs: launchTimeMs, state: 'running', pid: 1, rssBytes: 1, cpuSeconds: 0 },
      instances: instances ?? [],
    }
    this.feed({ kind: 'heartbeat', heartbeat })
  }

  time(run: () => void): number {
    const start = performance.now()
    run()
    return performance.now() - start
  }
}

/** Every other one is bound to a part of the cluster; each reads what the one before it writes. */
function functionOf(i: number, instances: number, cpus: number): readonly [string, WantedFunction] {
  const name = `fn-${i}`
  const constraints = [[], ['zone != zone-0'], ['rack groupBy'], ['hostname maxPer 2']][i % 4]
  const manifest = manifestSchema.parse({
    ...{ name, instances, resources: { cpus, memMib: 64, diskMib: 32 }, ostreams: [`s-${i + 1}`] },
    istreams: { [`s-${i}`]: { grouping: 'groupBy' } },
    placement: { constraints, priority: i % 3 },
  })
  const version = {
    ...{ schema: 1, version: 1, bundleSha256: 'x' },
    bundleBytes: 1,
    manifest,
    deployedAtMs: 0,
  }
  const document = { schema: 1, version: 1, instances, createdAtMs: 0 } as const
  return [name, { document, versions: new Map([[1, version as never]]) }]
}
