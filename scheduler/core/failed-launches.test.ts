import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TaskUpdate } from '../engine.ts'
import { World } from './testing/world.ts'

const keyed = { istreams: { in: { grouping: 'groupBy' as const } }, resources: { cpus: 0.5 } }

/** Agents that end each task before its runner beats. */
class Broken {
  readonly agents = new Set<string>()
  /** How a task ends there. */
  end: Partial<TaskUpdate> = { condition: 'exited', message: 'Failed to fetch all URIs' }
  readonly #world: World

  constructor(world: World, ...agents: string[]) {
    this.#world = world
    for (const agent of agents) this.agents.add(agent)
  }

  /** Lets seconds pass. @returns How many tasks were launched on a broken agent. */
  pass(seconds: number): number {
    let launches = 0
    for (let second = 0; second < seconds; second++) {
      this.#world.offer()
      for (const [taskId, { document }] of this.#world.runners) {
        const { agentId } = document
        if (!this.agents.has(agentId)) continue
        launches += 1
        this.#world.runners.delete(taskId)
        this.#world.updates = this.#world.updates.filter((update) => update.taskId !== taskId)
        const told = { condition: 'exited', message: '', receipt: 'r', ...this.end } as const
        this.#world.updates.push({ taskId, agentId, ...told })
      }
      this.#world.settle(1)
    }
    return launches
  }
}

function start(agents: number, instances: number): World {
  const world = new World(agents)
  world.connect()
  world.deploy('f', { ...keyed, instances, restarts: 3 })
  return world
}

const instances = (world: World) => world.statuses.get('f')?.instances ?? []
const states = (world: World) => instances(world).map(({ state }) => state)

test('an agent on which a launch fails is the last choice, and neither instance nor version is blamed (FA1, FA2)', () => {
  const world = start(3, 3)
  const broken = new Broken(world, 'agent-1')
  assert.equal(broken.pass(20), 1)
  assert.deepEqual(states(world), ['running', 'running', 'running'])
  const places = instances(world).map(({ agent }) => agent)
  assert.ok(!places.includes('agent-1'), `${places}`)

  // Larger instances are launched beside the old ones. After five minutes the agent may show whether it works again.
  assert.equal(broken.pass(300), 0)
  world.deploy('f', { ...keyed, resources: { cpus: 1 }, instances: 3, restarts: 3 })
  assert.equal(broken.pass(60), 2, 'those that were launched together')
  assert.equal(world.functions.get('f')?.good, 2, 'the version is not taken back')
  assert.deepEqual(
    instances(world).map(({ state, restarts }) => [state, restarts]),
    Array(3).fill(['running', 0]),
  )

  broken.agents.clear()
  world.deploy('f', { ...keyed, resources: { cpus: 1 }, instances: 9, restarts: 3 })
  world.settle(10)
  assert.deepEqual(states(world), Array(9).fill('running'), 'it is never forbidden')
  assert.equal(world.state.failedAgents.size, 0, 'a runner that beats there clears it')
})

test('where every launch fails, each is tried after twice the time, until it starts', () => {
  const ends = [
    { condition: 'notStarted' },
    { condition: 'dropped' },
    { condition: 'exited' },
    { condition: 'exited', exitCode: 0 },
  ] as const
  for (const end of ends) {
    const world = start(1, 2)
    const broken = new Broken(world, 'agent-0')
    broken.end = { ...end, message: 'no such user' }
    const launches = broken.pass(600)
    assert.ok(
      launches >= 20 && launches <= 50,
      `${JSON.stringify(end)}: ${launches} launches of two instances in 600 s`,
    )
    for (const { state, restarts, why } of instances(world)) {
      assert.equal(restarts, 0)
      assert.match(`${state}: ${why}`, /^backingOff: it was not started on agent-0: no such user/)
    }
    broken.agents.clear()
    world.settle(70)
    assert.deepEqual(states(world), ['running', 'running'])
  }
})

test('no agent is at fault for a runner that could not beat since the bus was away (FA1)', () => {
  for (const returns of ['before the end', 'after it', 'never away'] as const) {
    const world = start(2, 1)
    if (returns !== 'never away') world.feed({ kind: 'bus', up: false })
    world.offer()
    const [{ document } = assert.fail('it is launched')] = [...world.runners.values()]
    world.updates = []
    world.nowMs += 1_000
    if (returns === 'before the end') world.feed({ kind: 'bus', up: true })
    world.exit(document.taskId, 18)
    world.deliverUpdate()
    if (returns === 'after it') world.feed({ kind: 'bus', up: true })
    assert.deepEqual(
      [...world.state.failedAgents.keys()],
      returns === 'never away' ? [document.agentId] : [],
      returns,
    )
    assert.equal(instances(world)[0]?.restarts, 0)
    world.settle(10)
    assert.deepEqual(states(world), ['running'])
  }
})

test('a runner that breaks its limits before it beats counts as failed: it would do so elsewhere', () => {
  const world = start(3, 1)
  const broken = new Broken(world, 'agent-0', 'agent-1', 'agent-2')
  broken.end = { exceeded: 'memory' }
  assert.equal(broken.pass(60), 4)
  assert.deepEqual(states(world), ['crashLooping'])
  assert.equal(world.state.failedAgents.size, 0)
})
