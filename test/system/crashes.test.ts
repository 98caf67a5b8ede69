import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { Platform, Reader } from './platform.ts'

function copies(name: string): string {
  return `
import { defineFunction, groupBy } from 'concord'
export default defineFunction({
  metadata: { name: '${name}', istreams: { '${name}-in': groupBy }, ostreams: ['${name}-out'] },
  processRecord(ctx, record) { ctx.produceRecord('${name}-out', record.key, record.text()) },
})
`
}

const started = Platform.ofFile()

interface Up {
  readonly processes: Readonly<Record<string, { readonly pid: number }>>
}

/** How many clients have connected to its nats-server so far, this one included: a watch does so at each look. */
async function connectionsOf({ natsUrl }: Platform): Promise<number> {
  const { hostname, port } = new URL(natsUrl)
  const socket = connect(Number(port), hostname)
  const [greeting] = (await once(socket, 'data')) as [Buffer]
  socket.destroy()
  return Number(/"client_id":(\d+)/.exec(String(greeting))![1])
}

function pidOf(platform: Platform, name: string): number {
  return (JSON.parse(readFileSync(join(platform.home, 'up.json'), 'utf8')) as Up).processes[name]!.pid
}

test('a runner killed is restarted, seen in inspect and logs, and others go on undisturbed', {
  timeout: 400_000,
}, async (t) => {
  const platform = started()
  await Promise.all(['one', 'two'].map((name) => platform.deployIn(t, name, copies(name))))
  const out = await Reader.start(t, platform, ['two-out', '--hold'])
  const before = await platform.until('one', (d) => d.instances[0]?.pid !== undefined)
  const other = await platform.until('two', (d) => d.instances[0]?.pid !== undefined)
  process.kill(before.instances[0]!.pid!, 'SIGKILL')
  const after = await platform.until('one', (d) => d.state === 'running' && d.instances[0]!.restarts === 1)
  assert.notEqual(after.instances[0]!.pid, before.instances[0]!.pid)
  assert.equal(after.instances[0]!.lastExit!.reason, 'crashed')
  await platform.json(['produce', 'two-in'], 'a\nb\n')
  await out.read(2)
  const unchanged = await platform.client.inspect('two')
  assert.equal(unchanged.instances[0]!.taskId, other.instances[0]!.taskId)
  await platform.json(['produce', 'one-in'], 'x\n')
  await platform.until('one', (d) => d.ledger[0]!.processed === 1)
})

for (const victim of ['gateway', 'scheduler', 'minimesos'] as const) {
  test(`a ${victim} killed: functions go on, and after its restart nothing is forgotten`, {
    timeout: 400_000,
  }, async (t) => {
    const platform = started()
    const name = `beside-${victim}`
    await platform.deployIn(t, name, copies(name))
    const before = await platform.until(name, (d) => d.state === 'running')
    await platform.json(['produce', `${name}-in`], 'a\n')
    await platform.until(name, (d) => d.ledger[0]!.processed === 1)
    const pid = pidOf(platform, victim)
    process.kill(pid, 'SIGKILL')
    await platform.untilUp(() => pidOf(platform, victim) !== pid)
    const out = await Reader.start(t, platform, [`${name}-out`, '--hold'])
    await platform.json(['produce', `${name}-in`], 'b\n')
    await out.read(1)
    const after = await platform.until(name, (d) => d.state === 'running')
    assert.equal(after.instances[0]!.taskId, before.instances[0]!.taskId)
    assert.equal(after.instances[0]!.pid, before.instances[0]!.pid)
    assert.equal(after.instances[0]!.restarts, 0)
    await platform.deployIn(t, `after-${victim}`, copies(`after-${victim}`)) // control works
  })
}

test('concord up killed and started again finds its functions at work', { timeout: 400_000 }, async (t) => {
  const platform = started()
  await platform.deployIn(t, 'stays', copies('stays'))
  const before = await platform.until('stays', (d) => d.instances[0]?.pid !== undefined)
  await platform.killUp()
  await platform.up()
  const after = await platform.until(
    'stays',
    (d) => d.state === 'running' && d.instances[0]!.pid !== undefined,
  )
  assert.equal(after.instances[0]!.pid, before.instances[0]!.pid)
  assert.equal(after.instances[0]!.taskId, before.instances[0]!.taskId)
  await platform.json(['produce', 'stays-in'], 'a\n')
  await platform.until('stays', (d) => d.recordsIn === 1)
})

test('kill -id runs destroy and lowers the wanted count; --restart replaces the instance', {
  timeout: 400_000,
}, async (t) => {
  const platform = started()
  const ends = copies('ends').replace(
    'processRecord',
    `destroy() { console.log('destroyed') },\n  processRecord`,
  )
  await platform.deployIn(t, 'ends', ends, ['--instances', '2'])
  const before = await platform.until('ends', (d) => d.instancesRunning === 2)
  await platform.json(['kill', '-id', 'ends-0', '--restart'])
  const replaced = await platform.until(
    'ends',
    (d) => d.instancesRunning === 2 && d.instances[0]!.taskId !== before.instances[0]!.taskId,
  )
  assert.equal(replaced.instancesWanted, 2)
  await platform.json(['kill', '-id', 'ends-1'])
  await platform.until(
    'ends',
    (d) => d.instancesWanted === 1 && d.instances.length === 1 && d.instancesRunning === 1,
  )
  const logs = await platform.untilLogged('ends', /(destroyed[\s\S]*){2}/)
  assert.equal(logs.match(/destroyed/g)?.length, 2, logs)
  // The one that is left owns all partitions.
  await platform.json(['produce', 'ends-in'], Array.from({ length: 200 }, (_, i) => `line ${i}`).join('\n'))
  await platform.until('ends', (d) => d.ledger[0]!.processed === 200)
})

test('a platform at rest restarts nothing', { timeout: 400_000 }, async (t) => {
  const platform = started()
  await platform.deployIn(t, 'calm', copies('calm'))
  const before = await platform.until('calm', (d) => d.instances[0]?.pid !== undefined)
  const pids = ['nats-server', 'minimesos', 'scheduler', 'gateway'].map((name) => pidOf(platform, name))
  const isCalm = () => pidOf(platform, 'nats-server') === pids[0]
  // The watch over JetStream acts at the second look, if at all; at the third that is done.
  for (let looks = 0, own = 1, first = await connectionsOf(platform); looks < 3 && isCalm(); own++) {
    await sleep(200)
    looks = (await connectionsOf(platform)) - first - own
  }
  const after = await platform.client.inspect('calm')
  assert.equal(after.instances[0]!.pid, before.instances[0]!.pid)
  assert.deepEqual(
    ['nats-server', 'minimesos', 'scheduler', 'gateway'].map((name) => pidOf(platform, name)),
    pids,
  )
})
