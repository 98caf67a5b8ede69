/**
 * Kills on the cluster of one machine: three agents, two schedulers, two Mesos masters, three ZooKeeper servers, in the long mode
 * three nats-servers too, and records all the while. What is missing in the end is what the ledger calls unaccounted, and that is nothing before a runner
 * was killed (I7).
 * @module
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { FunctionDetail } from '../../sdk/api/index.ts'
import { assertEachOnce, Clicks } from './load/clicks.ts'
import { Load } from './load/load.ts'
import { Platform } from './platform.ts'

/** Rounds over all components in the long mode, and over agents with their runners; else three stand for all of them. */
const rounds = Number(process.env['CONCORD_CLUSTER_KILLS'] ?? 0)
const three = (name: string): string[] => [1, 2, 3].map((i) => `${name}-${i}`)
const withoutRunners =
  rounds === 0
    ? ['leader', 'zookeeper-2', 'minimesos-1']
    : ['leader', 'gateway', ...three('zookeeper'), ...three('nats'), 'minimesos-1', 'minimesos-2']
const size = [
  '--agents',
  '3',
  '--schedulers',
  '2',
  '--zookeeper',
  '3',
  '--masters',
  '2',
  ...(rounds === 0 ? [] : ['--nats', '3']),
]

const tasksOf = ({ instances }: FunctionDetail) => instances.map(({ taskId }) => taskId)

test(`a cluster whose components are killed in turn loses nothing but what its killed runners had in hand (${Math.max(1, rounds)} rounds)`, {
  timeout: 600_000 + rounds * 900_000,
}, async (t) => {
  const platform = await Platform.start(t, {}, size)
  for (let round = 0; round < Math.max(1, rounds); round++) {
    const calm = await Load.start(t, platform, { name: `calm${round}` })
    const tasks = tasksOf(await calm.goesOn())
    for (const victim of withoutRunners) await calm.kill(victim)
    assert.deepEqual(tasksOf(await calm.goesOn()), tasks, 'no task was restarted')
    const nothing = await calm.judged()
    assert.deepEqual([nothing.loss, nothing.unaccounted], [0, 0], `no runner was killed: ${nothing.text}`)
    await platform.json(['fn', 'rm', `calm${round}`, '--drop'])
    if (rounds === 0) return

    const hurt = await Load.start(t, platform, { name: `hurt${round}` })
    const { instances } = await hurt.goesOn()
    const before = new Set(instances.map(({ taskId }) => taskId))
    const agent = instances[0]!.hostname!
    await hurt.kill(agent, (d) => d.instances.some(({ taskId }) => !before.has(taskId)))
    await platform.json(['cluster', 'start', agent])
    await hurt.judged(instances.filter(({ hostname }) => hostname === agent).length)
    await platform.json(['fn', 'rm', `hurt${round}`, '--drop'])

    for (const withRunner of [false, true]) {
      const clicks = await Clicks.start(t, platform, withRunner)
      const lost = withRunner ? await clicks.agent() : undefined
      for (const victim of lost === undefined ? withoutRunners : [lost]) await clicks.kill(victim)
      if (lost !== undefined) await platform.json(['cluster', 'start', lost])
      const { missing, unaccounted, sent, seen } = await clicks.judged()
      if (!withRunner) {
        assert.deepEqual([missing, unaccounted], [0, 0])
        assertEachOnce(sent, seen)
      }
      assert.ok(missing <= unaccounted, `${missing} missing, ${unaccounted} unaccounted`)
      const twice = [...seen].filter(([client, counts]) => counts.length > sent.get(client)!)
      assert.deepEqual(twice, [])
      for (const name of ['alert', 'score', 'parse']) await platform.json(['fn', 'rm', name, '--drop'])
    }
  }
})
