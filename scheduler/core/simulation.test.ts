import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { ManifestInput } from '../../sdk/manifest/manifest.ts'
import { World } from './testing/world.ts'
import { failCanary } from './testing/world-heartbeats.ts'

type Move = (world: World, at: number) => void

const pick = <T>(items: Iterable<T>, at: number): T | undefined => {
  const all = [...items]
  return all[at % Math.max(1, all.length)]
}
const anyName = (at: number) => `fn-${at % 3}`
/** How instances share runners: alone, several of one function, or several of all functions. */
const packing = (at: number) =>
  [{}, { instancesPerRunner: 3 }, { pack: 'small', instancesPerRunner: 4 }, { pack: 'small' }][at % 4]
/** Functions with constraints are more important: others may have to make room for them. */
const placements: ManifestInput['placement'][] = [
  undefined,
  { constraints: ['zone == a'], priority: 3 },
  { constraints: ['hostname maxPer 3'], priority: 2 },
  { constraints: ['zone groupBy'], priority: 1 },
]
const inputs = (at: number) =>
  at % 3 === 0
    ? { in: { grouping: 'shuffle' as const }, all: { grouping: 'broadcast' as const } }
    : { in: { grouping: 'groupBy' as const } }

const moves: Readonly<Record<string, Move>> = {
  deploy: (w, at) =>
    w.deploy(
      anyName(at),
      {
        istreams: inputs(at),
        ostreams: ['out'],
        instances: at % 6,
        resources: { cpus: [0.5, 0.25, 0.1][at % 3], memMib: 64 },
        ...packing(at >> 2),
        placement: placements[(at >> 4) % 4],
        ...(at % 5 < 2 && { rollout: { canary: { steps: [1, 10], bakeMs: 1000 + (at % 3000) } } }),
        ...(at % 5 > 2 && { rollout: { rolling: 1 + (at % 2) } }),
      },
      { migrates: at % 7 < 3, sameCode: at % 11 < 3 },
    ),
  scale: (w, at) => {
    const [name, document] = pick(w.functions, at) ?? []
    if (name === undefined || document === undefined) return
    w.functions.set(name, { ...document, instances: at % 6 })
    w.publish()
  },
  move: (w, at) => {
    const [name, document] = pick(w.functions, at) ?? []
    if (name === undefined || document === undefined) return
    const homes = { ...document.homes, [at % 16]: (at >> 4) % 5 }
    w.functions.set(name, { ...document, homes: at % 7 === 0 ? {} : homes })
    w.publish()
  },
  delete: (w, at) => {
    const [name, document] = pick(w.functions, at) ?? []
    if (name === undefined || document === undefined) return
    w.functions.set(name, { ...document, deleted: true })
    w.publish()
  },
  command: (w, at) => {
    const name = anyName(at)
    w.commands.set(w.newId(), {
      schema: 1,
      kind: 'killInstance',
      function: name,
      instance: `${name}-${at % 5}`,
      restart: at % 2 === 0,
    })
    w.publish()
  },
  publish: (w) => w.publish(),
  offer: (w) => w.offer(),
  deliver: (w) => w.deliverUpdate(),
  beat: (w, at) => {
    const runner = pick(w.runners.values(), at)
    if (runner !== undefined) w.beat(runner)
  },
  readMail: (w, at) => {
    const runner = pick(w.runners.values(), at)
    if (runner !== undefined) w.readMail(runner, at)
  },
  ask: (w, at) => {
    const runner = pick(w.runners.values(), at)
    if (runner !== undefined) w.ask(runner, at)
  },
  askInVain: (w, at) => {
    const runner = pick(w.runners.values(), at)
    if (runner !== undefined) w.ask(runner, at, true)
  },
  loseMail: (w, at) => void pick(w.runners.values(), at)?.mail.shift(),
  readAndBeatAll: (w) => {
    for (const runner of [...w.runners.values()]) {
      w.readMail(runner)
      w.beat(runner)
    }
  },
  crash: (w, at) => {
    const runner = pick(w.runners.values(), at)
    if (runner !== undefined) w.exit(runner.document.taskId, 10)
  },
  fail: (w, at) => {
    const runner = pick(w.runners.values(), at)
    const id = pick(runner?.instances.keys() ?? [], at >> 3)
    if (runner !== undefined && id !== undefined) w.fail(runner, id)
  },
  swap: (w, at) => {
    for (const runner of w.runners.values())
      for (const id of [...runner.instances.keys()]) w.swap(runner, id, at % 3 === 0)
  },
  canary: (w, at) => {
    const runner = pick(w.runners.values(), at)
    const id = pick(runner?.instances.keys() ?? [], at >> 3)
    if (runner !== undefined && id !== undefined) failCanary(runner.instances, id)
  },
  crashOf: (w, at) => {
    const runner = pick(w.runners.values(), at)
    const id = pick(runner?.instances.keys() ?? [], at >> 3)
    if (runner !== undefined && id !== undefined) w.crash(runner, id)
  },
  obeyKill: (w, at) => {
    const runner = pick(
      [...w.runners.values()].filter((r) => r.killed),
      at,
    )
    if (runner !== undefined) w.exit(runner.document.taskId, 0)
  },
  tick: (w, at) => w.tick([10, 1_000, 20_000, 100_000][at % 4] as number),
  disconnect: (w) => w.connected && w.disconnect(),
  connect: (w) => !w.connected && w.connect(),
  restart: (w) => w.restart(),
  dieSoon: (w, at) => {
    w.diesAfter = at % 7
  },
  duplicateUpdate: (w) => {
    const update = w.updates[0]
    if (update !== undefined) w.updates.push(update)
  },
}

/** Most events are benign; otherwise no cluster would grow large enough to be disturbed. */
const progress: Move = (w) => {
  w.offer()
  while (w.connected && w.updates.length > 0) w.deliverUpdate()
  for (const runner of [...w.runners.values()]) {
    w.beat(runner)
    w.readMail(runner)
    w.ask(runner)
  }
}

const script = fc.array(
  fc.tuple(
    fc.oneof(
      { weight: 2, arbitrary: fc.constant('progress') },
      { weight: 1, arbitrary: fc.constant('scale') },
      { weight: 6, arbitrary: fc.constantFrom(...Object.keys(moves)) },
    ),
    fc.nat(1000),
  ),
  {
    minLength: 5,
    maxLength: 90,
  },
)

/** Scripts that have failed before. */
const found: [[string, number][]][] = [
  // An instance left its runner and the next leader started it at the same epoch: its failure was taken for its
  // earlier end.
  [
    [
      ['progress', 0],
      ['scale', 0],
      ['scale', 7],
      ['progress', 0],
      ['restart', 0],
      ['progress', 0],
      ['fail', 0],
      ['deploy', 25],
      ['progress', 0],
    ],
  ],
  // An instance left its runner, returned to the same seat under the next leader, and failed: the report of its first
  // end was found first.
  [
    [
      ['progress', 0],
      ['scale', 0],
      ['dieSoon', 0],
      ['scale', 592],
      ['progress', 0],
      ['progress', 0],
      ['fail', 0],
      ['progress', 0],
      ['progress', 0],
    ],
  ],
  // An instance that was being removed was also asked to restart, and its slot stayed as waiting.
  [
    [
      ['progress', 0],
      ['command', 795],
      ['deploy', 0],
      ['deploy', 0],
      ['deploy', 0],
      ['command', 0],
      ['progress', 0],
    ],
  ],
]

test('step keeps CC1 to CC5 through any events, and converges once faults stop', () => {
  fc.assert(
    fc.property(script, (events) => {
      const world = new World()
      world.connect()
      world.deploy('fn-0', {
        istreams: inputs(1),
        instances: 3,
        resources: { cpus: 0.5 },
        ...packing(events.length),
      })
      for (const [name, at] of events) (moves[name] ?? progress)(world, at)
      world.diesAfter = Number.POSITIVE_INFINITY
      world.settle()
      assertConverged(world)
    }),
    { numRuns: 600, examples: found },
  )
})

function assertConverged(world: World): void {
  assert.deepEqual([...world.commands.keys()], [], 'every command is done and removed')
  for (const [name, document] of world.functions) {
    assert.notEqual(document.deleted, true, `${name} is removed`)
    const version = world.versions.get(name)?.get(document.version)
    assert.ok(version)
    const instances = [...world.runners.values()]
      .flatMap((runner) => [...runner.instances.values()])
      .filter((instance) => instance.function === name)
    assert.equal(instances.length, document.instances, `${name} has as many instances as are wanted`)
    for (const instance of instances) assert.equal(instance.version, document.version)
    const owned = instances.flatMap((instance) => [...instance.owns.keys()]).sort()
    const expected = document.instances === 0 ? [] : Array.from({ length: 16 }, (_, p) => `in/${p}`).sort()
    assert.deepEqual(owned, expected, `${name} owns each partition once`)
    for (const { index, owns } of instances)
      for (const [share, home] of Object.entries(document.homes ?? {}))
        if (owns.has(`in/${share}`) && instances.some((other) => other.index === home))
          assert.equal(index, home, `HO3: partition ${share} of ${name} is where it was put`)
    const states = world.statuses.get(name)?.instances.map((instance) => instance.state) ?? []
    assert.ok(
      states.every((state) => state === 'running') && states.length === document.instances,
      `${name}: ${states}`,
    )
  }
  assert.equal(world.tasks.size, world.runners.size, 'the store knows the living, and no other')
  const seated = [...world.runners.values()].flatMap((runner) => [...runner.instances.keys()])
  assert.deepEqual([...world.seats.keys()].sort(), seated.sort(), 'and who sits in them')
  for (const { instances } of world.runners.values()) assert.ok(instances.size > 0, 'no runner is empty')
  assert.equal(world.offersWanted, false, 'no offers are asked for when nothing waits')
  const acting = world.actions.length
  world.settle(3)
  const chatter = world.actions.slice(acting)
  assert.deepEqual(chatter, [], 'when all is well nothing is done')
}
