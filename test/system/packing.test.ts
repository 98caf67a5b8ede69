/** Many instances in one runner: as users meet them, by the command line and by a look at the processes. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { FunctionDetail } from '../../sdk/api/index.ts'
import type { FunctionState } from '../../sdk/api/state.ts'
import { Platform, Reader } from './platform.ts'

const started = Platform.ofFile()

function copies(name: string, version = 'a'): string {
  return `
import { defineFunction, groupBy } from 'concord'
export default defineFunction({
  metadata: { name: '${name}', istreams: { '${name}-in': groupBy }, ostreams: ['${name}-out'] },
  destroy() { console.log('destroyed ${version}') },
  processRecord(ctx, record) {
    if (record.text() === 'bad') throw new Error('as asked')
    ctx.produceRecord('${name}-out', record.key, record.text())
  },
})
`
}

const small = ['--mem', '40', '--cpus', '0.05']
/** So that all instances get some. */
const lines = (count: number) =>
  Array.from({ length: count }, (_, i) => JSON.stringify({ key: `k${i}`, value: `line ${i}` })).join('\n')
const pids = (d: FunctionDetail) => new Set(d.instances.map(({ pid }) => pid))
const tasks = (d: FunctionDetail) => new Set(d.instances.map(({ taskId }) => taskId))
const allRun = (d: FunctionDetail, count: number) =>
  d.instancesRunning === count && d.instances.length === count && !pids(d).has(undefined)
const settled = (processed: number) => (d: FunctionDetail) =>
  d.ledger[0]!.processed === processed && d.ledger[0]!.inFlight === 0

test('four instances share a runner; one is killed, started anew, deployed again, and the runner killed', {
  timeout: 400_000,
}, async (t) => {
  const platform = started()
  const flags = ['--instances', '4', '--per-runner', '4', ...small]
  await platform.deployIn(t, 'one', copies('one'), flags)
  const first = await platform.until('one', (d) => allRun(d, 4))
  assert.equal(tasks(first).size, 1)
  assert.equal(pids(first).size, 1)
  assert.match((await platform.cli(['fn', 'inspect', 'one'])).stdout, /one-0 one-1 one-2 one-3/)
  await platform.json(['produce', 'one-in', '--ndjson'], lines(400))
  const shared = await platform.until('one', (d) => settled(400)(d) && d.recordsIn === 400)
  assert.ok(shared.instances.every(({ recordsIn }) => recordsIn > 0))

  await platform.json(['kill', '-id', 'one-1', '--restart'])
  const epochOf = (d: FunctionDetail, id: string) => d.instances.find((i) => i.id === id)?.epoch ?? 0
  const anew = await platform.until(
    'one',
    (d) => allRun(d, 4) && epochOf(d, 'one-1') > epochOf(first, 'one-1'),
  )
  await platform.json(['kill', '-id', 'one-3'])
  const three = await platform.until('one', (d) => allRun(d, 3) && d.instancesWanted === 3)
  for (const detail of [anew, three]) assert.deepEqual(tasks(detail), tasks(first), 'the runner is the same')
  assert.deepEqual(pids(three), pids(first))
  await platform.json(['produce', 'one-in', '--ndjson'], lines(400))
  const twice = await platform.until('one', settled(800))
  assert.equal(twice.ledger[0]!.unaccounted, 0)

  await platform.deploy('one', copies('one', 'b'), flags)
  const second = await platform.until('one', (d) => allRun(d, 4) && d.instances.every((i) => i.version === 2))
  assert.deepEqual(pids(second), pids(first), 'a new version comes into the runner that is there')
  const logs = await platform.untilLogged('one', /(destroyed a[\s\S]*){5}/)
  assert.equal(logs.match(/destroyed a/g)?.length, 5, logs)
  await platform.json(['produce', 'one-in', '--ndjson'], lines(400))
  await platform.until('one', settled(1200))

  process.kill([...pids(second)][0]!, 'SIGKILL')
  const third = await platform.until('one', (d) => allRun(d, 4) && !tasks(d).has([...tasks(second)][0]))
  assert.equal(tasks(third).size, 2, 'nobody knows whose fault it was: they share with fewer')
  assert.ok(third.instances.every(({ restarts }) => restarts === 1))
  await platform.json(['produce', 'one-in', '--ndjson'], lines(400))
  await platform.until('one', (d) => d.ledger[0]!.processed + d.ledger[0]!.unaccounted === 1600)
})

test('a record that breaks its limit takes nothing along of the instance beside it', {
  timeout: 400_000,
}, async (t) => {
  const platform = started()
  const source = `
import { defineFunction, groupBy } from 'concord'
export default defineFunction({
  metadata: { name: 'pair', istreams: { 'pair-in': groupBy }, ostreams: ['pair-out'], onError: 'deadLetter' },
  async processRecord(ctx, record) {
    if (record.text() === 'loop') for (;;);
    await new Promise((resolve) => setTimeout(resolve, 5))
    ctx.produceRecord('pair-out', record.key, String(ctx.counter('all').add()))
  },
})
`
  await platform.deployIn(t, 'pair', source, ['--instances', '2', '--per-runner', '2', ...small])
  const before = await platform.until('pair', (d) => allRun(d, 2))
  assert.equal(pids(before).size, 1)
  const out = await Reader.start(t, platform, ['pair-out', '--hold'])
  // Both are at work for seconds, and the one that loops is stopped after one.
  const records = 2000
  const values = Array.from({ length: records }, (_, i) => ({ key: `k${i}`, value: i === 100 ? 'loop' : '' }))
  await platform.client.produce('pair-in', values)
  const after = await platform.until('pair', (d) => settled(records - 1)(d) && d.state === 'running')
  const { dropped, unaccounted, stateLost } = after.ledger[0]!
  assert.deepEqual(
    { dropped, unaccounted, stateLost },
    { dropped: { deadLettered: 1 }, unaccounted: 0, stateLost: 0 },
  )
  await out.read(records - 1)
  const counted = await platform.json<FunctionState>(['fn', 'state', 'pair', 'all'])
  const parts = counted.instances.flatMap(({ partitions }) => partitions)
  assert.deepEqual([counted.unread, counted.instances.length, parts.length], [[], 2, 16])
  assert.equal(
    parts.reduce((sum, { found }) => sum + found!.counter!.value, 0),
    records - 1,
    'what the function has counted, seen from outside',
  )
  const { partition } = parts[0]!
  const shown = await platform.cli(['fn', 'state', 'pair', 'all', '--partition', String(partition)])
  assert.match(shown.stdout, new RegExp(`\\n${partition} +pair-\\d +counter +- +\\d+\\n$`))
  assert.match(shown.stderr, /read from pair-\d v1 between two batches, at 20/)
  const missing = await platform.cli(['fn', 'state', 'pair', 'none'])
  assert.equal(missing.stdout, 'none has nothing in what was read of pair.\n')
  assert.ok(after.instances.every(({ lastExit }) => lastExit?.reason === 'recordBroke'))
})

test('sixteen instances share a runner, and are all seen', { timeout: 400_000 }, async (t) => {
  const platform = started()
  const tiny = ['--mem', '8', '--cpus', '0.01']
  await platform.deployIn(t, 'many', copies('many'), ['--instances', '16', '--per-runner', '16', ...tiny])
  const detail = await platform.until('many', (d) => allRun(d, 16))
  assert.equal(tasks(detail).size, 1)
  assert.deepEqual(
    detail.instances.map(({ index }) => index),
    Array.from({ length: 16 }, (_, index) => index),
  )
})

test('functions of a pack share a runner; one that fails leaves the others at work', {
  timeout: 400_000,
}, async (t) => {
  const platform = started()
  const flags = ['--pack', 'tiny', '--per-runner', '3', ...small]
  for (const name of ['ant', 'bee']) await platform.deployIn(t, name, copies(name), flags)
  const ant = await platform.until('ant', (d) => allRun(d, 1))
  const bee = await platform.until('bee', (d) => allRun(d, 1))
  assert.deepEqual(pids(ant), pids(bee))
  await platform.json(['produce', 'ant-in'], 'good\nbad\n')
  const failed = await platform.until('ant', (d) => allRun(d, 1) && d.instances[0]!.restarts === 1)
  assert.equal(failed.instances[0]!.lastExit?.reason, 'functionFailed')
  assert.match(failed.instances[0]!.lastExit?.message ?? '', /as asked/)
  await platform.until('ant', (d) => d.ledger[0]!.processed === 1 && d.ledger[0]!.dropped['failed'] === 1)
  await platform.json(['produce', 'bee-in', '--ndjson'], lines(100))
  const after = await platform.until('bee', settled(100))
  assert.deepEqual(pids(after), pids(bee))
  assert.equal(after.instances[0]!.restarts, 0)
  const logs = (await platform.cli(['fn', 'logs', 'bee'])).stdout
  assert.doesNotMatch(logs, /as asked/, 'each function has a log of its own')
})
