/**
 * Histories: random histories of a small model cluster, and the checker's verdict on each.
 * @module
 */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { check, type Verdict } from '../history/checker.ts'
import { verdictText } from '../history/explain.ts'
import type { Bug, Fault } from './bugs.ts'
import { ModelCluster, sources } from './cluster.ts'
import { fates } from './words.ts'

const share = fc.nat(2)
const which = fc.nat(5)
/** Of whom the overseer hears what they have, before it tells them what they should have: a bit each. */
const heard = fc.nat(7)
const step = fc.oneof(
  {
    weight: 7,
    arbitrary: fc.record({
      kind: fc.constant('send' as const),
      source: fc.nat(1),
      share,
      count: fc.integer({ min: 1, max: 30 }),
    }),
  },
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant('deliver' as const),
      steps: fc.integer({ min: 1, max: 250 }),
      seed: fc.nat(),
    }),
  },
  {
    weight: 7,
    arbitrary: fc.record({
      kind: fc.constant('process' as const),
      which,
      records: fc.integer({ min: 1, max: 40 }),
    }),
  },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('read' as const) }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('move' as const), share, which, heard }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('look' as const), heard }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('checkpoint' as const), which }) },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('time' as const), ms: fc.integer({ min: 10, max: 1500 }) }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('break' as const), which, noticed: fc.boolean() }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('reconnect' as const), which }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom('kill' as const, 'lose' as const), which }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('befalls' as const), fate: fc.constantFrom(...fates) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('delay' as const), count: fc.integer({ min: 0, max: 5 }) }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('arrive' as const) }) },
)
export type Step = typeof step extends fc.Arbitrary<infer T> ? T : never

/**
 * Steps that seldom come together by chance: an owner's connection breaks, it goes on with what it has, is connected again, and is
 * killed soon after.
 */
const killedWhenBack = fc
  .record({
    nth: fc.nat(2),
    noticed: fc.boolean(),
    records: fc.integer({ min: 1, max: 40 }),
    steps: fc.integer({ min: 1, max: 60 }),
    seed: fc.nat(),
  })
  .map(({ nth, noticed, records, steps, seed }): Step[] => [
    { kind: 'break', which: sources + nth, noticed },
    { kind: 'process', which: nth, records },
    { kind: 'reconnect', which: sources + nth },
    { kind: 'deliver', steps, seed },
    { kind: 'kill', which: nth },
  ])

export const steps = fc
  .array(
    fc.oneof(
      { weight: 60, arbitrary: step.map((one): Step[] => [one]) },
      { weight: 1, arbitrary: killedWhenBack },
    ),
    { minLength: 20, maxLength: 100 },
  )
  .map((parts): readonly Step[] => parts.flat())

export interface Played {
  readonly cluster: ModelCluster
  readonly verdict: Verdict
  readonly faults: ReadonlySet<Fault>
}

export async function play(actions: readonly Step[], planted: readonly Bug[] = []): Promise<Played> {
  const cluster = new ModelCluster(new Set(planted))
  for (const action of actions) {
    await act(cluster, action)
    await Promise.resolve()
  }
  const faults = new Set<Fault>()
  if (!(await cluster.settle())) faults.add('restless')
  if (cluster.refusals.length > 0) faults.add('refused')
  const verdict = check('output', cluster.events)
  for (const { kind } of verdict.findings) faults.add(kind)
  return { cluster, verdict, faults }
}

/** @throws What is wrong with it. */
export async function playSoundly(actions: readonly Step[]): Promise<Played> {
  const played = await play(actions)
  const { cluster, verdict, faults } = played
  if (!verdict.sound) assert.fail(verdictText(verdict, cluster.events)) // a text that takes time: only for what is wrong
  assert.deepEqual(cluster.refusals, [], 'nobody is refused what he was given')
  assert.deepEqual([...faults], [], 'it comes to rest')
  return played
}

function act(cluster: ModelCluster, action: Step): Promise<void> | void {
  switch (action.kind) {
    case 'send':
      return cluster.send(action.source, action.share, action.count)
    case 'deliver':
      return cluster.deliver(action.steps, action.seed)
    case 'process':
      return cluster.process(action.which, action.records)
    case 'read':
      return cluster.read()
    case 'move':
      return cluster.move(action.share, action.which, action.heard)
    case 'look':
      return cluster.look(action.heard)
    case 'checkpoint':
      return cluster.checkpoint(action.which)
    case 'time':
      return cluster.time(action.ms)
    case 'break':
      return cluster.break(action.which, action.noticed)
    case 'reconnect':
      return cluster.reconnect(action.which)
    case 'kill':
      return cluster.kill(action.which)
    case 'lose':
      return cluster.lose(action.which)
    case 'befalls':
      return cluster.befalls(action.fate)
    case 'delay':
      return cluster.delay(action.count)
    case 'arrive':
      return cluster.arrive()
  }
}

/** What was in the histories of a run. */
export interface Seen {
  histories: number
  moves: number
  crashes: number
  records: number
}

/** Lives of a cluster without bugs. @throws with the seed and the smallest history that is not sound */
export async function liveSoundly(histories: number): Promise<Seen> {
  const seen: Seen = { histories: 0, moves: 0, crashes: 0, records: 0 }
  const property = fc.asyncProperty(steps, async (actions) => {
    const { cluster, verdict } = await playSoundly(actions)
    const { events, overseer } = cluster
    seen.histories += 1
    seen.moves += overseer.moves
    seen.crashes += events.filter(({ event }) => event === 'crash').length
    seen.records += verdict.counts['output']!
  })
  await fc.assert(property, {
    numRuns: histories,
    endOnFailure: process.env['NOSHRINK'] !== undefined,
  })
  return seen
}
