import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { writeProject } from './load/steps.ts'
import { Platform, Reader } from './platform.ts'

const started = Platform.ofFile()

function chain(name: string, from: string, to: string, body: string): string {
  return `
import { defineFunction, groupBy } from 'concord'
export default defineFunction({
  metadata: { name: '${name}', istreams: { '${from}': groupBy }, ostreams: [${to === '' ? '' : `'${to}'`}], onError: 'deadLetter' },
  ${body}
})
`
}

const numbers = (count: number): string =>
  Array.from({ length: count }, (_, i) => `${i} ${'x'.repeat(2000)}`).join('\n')

/** Most of their time they wait: two at a time, the longest first. */
describe('functions of one platform', { concurrency: 2 }, () => {
  test('a callback that does not end in time at a stop costs its record and no other', {
    timeout: 400_000,
  }, async (t) => {
    const platform = started()
    const stuck = `async processRecord() { await new Promise((done) => setTimeout(done, 25_000)) },`
    await platform.deployIn(t, 'stuck', chain('stuck', 'stuck-in', '', stuck))
    await platform.json(['produce', 'stuck-in', '--key', 'k'], numbers(10))
    await platform.until('stuck', (d) => d.ledger[0]!.inFlight === 10)
    await platform.deploy('stuck', chain('stuck', 'stuck-in', '', 'processRecord() {},'), ['--drain'])
    const after = await platform.until('stuck', (d) => d.ledger[0]!.inFlight === 0)
    assert.deepEqual(
      { ...after.ledger[0] },
      {
        stream: 'stuck-in',
        sent: 10,
        processed: 9,
        dropped: { failed: 1 },
        inFlight: 0,
        lagMs: 0,
        unaccounted: 0,
        stateLost: 0,
      },
    )
  })

  test('a redeploy behind a blocked downstream hands on what was not touched, and counts the rest', {
    timeout: 400_000,
  }, async (t) => {
    const platform = started()
    const pass = `processRecord(ctx, record) { ctx.produceRecord('redeploy-mid', record.key, record.text()) },`
    await platform.deployIn(t, 'down', chain('down', 'redeploy-mid', '', 'processRecord() {},'), [
      '--instances',
      '0',
      '--no-wait',
    ])
    await platform.deployIn(t, 'up', chain('up', 'redeploy-in', 'redeploy-mid', pass))
    const records = 4000
    await platform.json(['produce', 'redeploy-in', '--key', 'k'], numbers(records))
    await platform.until('up', (d) => d.recordsIn > 100)
    await platform.deploy('up', chain('up', 'redeploy-in', 'redeploy-mid', `// v2\n  ${pass}`))
    await platform.deploy('down', chain('down', 'redeploy-mid', '', '// v2\n  processRecord() {},'), [
      '--instances',
      '1',
    ])
    const up = await platform.until('up', (d) => d.ledger[0]!.inFlight === 0)
    const [row] = up.ledger
    assert.equal(row!.sent, records)
    assert.equal(row!.unaccounted, 0)
    const undelivered = row!.dropped['undelivered'] ?? 0
    assert.equal(row!.processed + undelivered, records)
    assert.ok(
      row!.processed > records / 2,
      `most of the queue went to the new version: ${JSON.stringify(row)}`,
    )
    // What 'up' has sent is told by its next heartbeat, after what the gateway knows to be acknowledged.
    const arrived = ({ inFlight, processed }: { inFlight: number; processed: number }): boolean =>
      inFlight === 0 && processed >= row!.processed
    await platform.until('down', (d) => arrived(d.ledger[0]!))
  })

  test('a stop ends an asynchronous batch after the callback at hand', { timeout: 400_000 }, async (t) => {
    const platform = started()
    const slow = `async processRecord() { await new Promise((done) => setTimeout(done, 100)) },\n  destroy() { console.log('destroyed') },`
    await platform.deployIn(t, 'slow', chain('slow', 'slow-in', '', slow))
    await platform.json(['produce', 'slow-in', '--key', 'k'], numbers(200))
    await platform.until('slow', (d) => d.recordsIn > 3)
    await platform.json(['kill', '-id', 'slow-0', '--restart'])
    const after = await platform.until('slow', (d) => d.instances[0]?.lastExit !== undefined)
    assert.equal(after.instances[0]!.lastExit!.reason, 'drained')
    assert.equal(after.ledger[0]!.unaccounted, 0)
    assert.deepEqual(after.ledger[0]!.dropped, {})
    await platform.untilLogged('slow', /destroyed/)
  })

  test('timers and state of a partition go to its next owner: each timer fires once', {
    timeout: 400_000,
  }, async (t) => {
    const platform = started()
    const body = `processRecord(ctx, record) {
    const key = record.keyText()
    const count = ctx.counter(key).add()
    if (count === 1) ctx.setTimer(key, ctx.nowMs() + 6000)
    else ctx.produceRecord('times-out', key, 'record ' + count)
  },
  processTimer(ctx, key) { ctx.produceRecord('times-out', key, 'timer') },`
    await platform.deployIn(t, 'times', chain('times', 'times-in', 'times-out', body), ['--instances', '2'])
    await platform.until('times', (d) => d.instancesRunning === 2)
    const out = await Reader.start(t, platform, ['times-out', '--hold'])
    const keys = Array.from({ length: 40 }, (_, i) => `key-${i}`)
    const send = () =>
      platform.client.produce(
        'times-in',
        keys.map((key) => ({ key, value: 'x' })),
      )
    await send()
    await platform.until('times', (d) => d.recordsIn === keys.length)
    await platform.json(['kill', '-id', 'times-1']) // most timers of its partitions are not due yet
    await platform.until('times', (d) => d.instancesWanted === 1 && d.instances.length === 1)
    await out.read(keys.length)
    await send() // what fires once more does so before them
    await out.read(2 * keys.length)
    const came = Object.groupBy(out.records, ({ key }) => String(key))
    for (const key of keys)
      assert.deepEqual(
        came[key]?.map(({ value }) => value),
        ['timer', 'record 2'],
        key,
      )
  })

  test('a destroy that throws and a dead letter near the size limit end nothing', {
    timeout: 400_000,
  }, async (t) => {
    const platform = started()
    const body = `processRecord() { throw new Error('no') },\n  destroy() { throw new Error('destroy failed too') },`
    await platform.deployIn(t, 'bad', chain('bad', 'bad-in', '', body))
    await platform.json(['produce', 'bad-in', '--key', 'k'], `${'"'.repeat(600_000)}\nsmall\n`)
    const before = await platform.until('bad', (d) => d.ledger[0]!.inFlight === 0)
    assert.deepEqual(before.ledger[0]!.dropped, { deadLettered: 2 })
    assert.equal(before.instances[0]!.restarts, 0)
    await platform.json(['kill', '-id', 'bad-0', '--restart'])
    const after = await platform.until('bad', (d) => d.instances[0]?.lastExit !== undefined)
    assert.equal(after.instances[0]!.lastExit!.reason, 'drained')
    await platform.untilLogged('bad', /destroy failed too/)
  })
})

test('down says how many records it gives up, those between functions too, and nothing where there are none', {
  timeout: 400_000,
}, async (t) => {
  const platform = await Platform.start(t)
  await platform.deploy('never', chain('never', 'middle', '', 'processRecord() {},'), [
    '--instances',
    '0',
    '--no-wait',
  ])
  const twice = `processRecord(ctx, { key }) { for (const value of ['1', '2']) ctx.produceRecord('middle', key, value) },`
  await platform.deploy('twice', chain('twice', 'start', 'middle', twice))
  await platform.json(['produce', 'start', '--key', 'k'], 'a\nb\nc\n')
  await platform.until('never', ({ ledger: [input] }) => input?.inFlight === 6)
  const down = await platform.cli(['down'])
  assert.equal(down.code, 0, down.stderr)
  const said =
    /^Concord is down \(.* s\)\. (\d+) records in flight were given up \('concord fn inspect' .*\)\.\n$/
  const [, givenUp] = said.exec(down.stdout) ?? assert.fail(down.stdout)
  await platform.up()
  const lost = async (name: string) => {
    const { ledger } = await platform.until(name, ({ ledger: [input] }) => input?.inFlight === 0)
    return ledger[0]!.unaccounted + (ledger[0]!.dropped['undelivered'] ?? 0)
  }
  assert.deepEqual([await lost('twice'), await lost('never'), Number(givenUp)], [3, 6, 9])
  assert.doesNotMatch((await platform.cli(['down'])).stdout, /given up/)
})

test('down names an instance whose runner had to be killed', { timeout: 400_000 }, async (t) => {
  const platform = await Platform.start(t)
  for (const name of ['good', 'hung'])
    await platform.deploy(name, chain(name, `${name}-in`, '', 'processRecord() {},'))
  const { instances } = await platform.until('hung', (d) => d.instances[0]?.pid !== undefined)
  for (const pid of withWatchdog(instances[0]!.pid!)) process.kill(pid, 'SIGSTOP')
  const down = await platform.cli(['down'])
  assert.equal(down.code, 0, down.stderr)
  assert.match(
    down.stdout,
    /^Concord is down \(.* s\)\. Not ended in order: hung-0 \((signal 9|silent)\)\. Records and changes/,
  )
  await platform.up()
  assert.doesNotMatch((await platform.cli(['down'])).stdout, /Not ended/)
})

test('a record whose limit passes while its runner stands still is tried again: its function is not to blame', {
  timeout: 400_000,
}, async () => {
  const platform = started()
  const busy = `processRecord(ctx, record) { if (record.text() === 'busy') for (let i = 0; i < 5e8; i++); },` // some 0.3 s
  const limits = { callbackMs: 4_000 } // so much more than it takes that a busy machine does not break it by itself
  const source = chain('busy', 'busy-in', '', busy).replace('deadLetter', 'fail')
  await platform.json(['fn', 'deploy', writeProject(platform.home, 'busy', source, { limits })])
  const { instances } = await platform.until('busy', (d) => d.instances[0]?.pid !== undefined)
  const runner = instances[0]!.pid!
  const [, watchdog] = withWatchdog(runner)
  await platform.client.produce('busy-in', [{ key: 'k', value: 'first' }]) // its code is warm then
  await platform.until('busy', (d) => d.ledger[0]!.processed === 1)
  const cpuBefore = cpuTicks(runner)
  // Not by the command, which ends when the record may have been processed already.
  const produced = platform.client.produce('busy-in', [
    { key: 'k', value: 'busy' },
    { key: 'k', value: 'last' },
  ])
  while (cpuTicks(runner) < cpuBefore + 8) await sleep(1) // it is at it
  for (const pid of [watchdog, runner]) process.kill(pid, 'SIGSTOP')
  await sleep(limits.callbackMs + 1_000)
  for (const pid of [runner, watchdog]) process.kill(pid, 'SIGCONT')
  await produced
  const { ledger, instances: after } = await platform.until('busy', (d) => d.ledger[0]!.processed === 3)
  assert.deepEqual(ledger[0]!.dropped, {})
  assert.equal(after[0]!.lastExit?.reason, 'recordBroke', 'the record was met')
  assert.match(after[0]!.lastExit!.message, /its process had a CPU for \d+ ms of \d+/)
})

/** The process of a runner, and that of its watchdog. */
function withWatchdog(runner: number): readonly [number, number] {
  return [runner, Number(/^PPid:\s+(\d+)/m.exec(readFileSync(`/proc/${runner}/status`, 'utf8'))![1])]
}

/** Of all threads of a process, hundredths of a second. */
function cpuTicks(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]!.split(' ')
  return Number(fields[11]) + Number(fields[12])
}
