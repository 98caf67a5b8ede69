import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { Platform, Reader } from './platform.ts'

const partitions = 4

/** Says which of its instances has seen which number, and how many numbers of the partition that one has counted in its state. */
const source = (more: string) => `
import { broadcast, defineFunction } from 'concord'
export default defineFunction({
  metadata: { name: 'listen', istreams: { rules: broadcast }, ostreams: ['heard'] },
  processRecord(ctx, record) {
    const count = ctx.counter('count').add(1)
    ctx.produceRecord('heard', String(ctx.instance), [ctx.instance, record.text(), record.partition, count].join(' '))
  },
})
${more}`

interface Heard {
  readonly number: number
  readonly partition: number
  readonly count: number
}

test('each instance gets all of a broadcast stream once and in order, while instances come, go and are replaced', {
  timeout: 400_000,
}, async (t) => {
  const platform = await Platform.start(t)
  await platform.json(['stream', 'create', 'rules', '--partitions', String(partitions)])
  await platform.json(['stream', 'create', 'heard'])
  const reader = await Reader.start(t, platform, ['heard', '--hold'])
  const file = join(platform.home, 'listen.ts')
  const deploy = async (more: string, ...flags: string[]): Promise<void> => {
    writeFileSync(file, source(more))
    await platform.json(['fn', 'deploy', file, ...flags])
  }
  await deploy('')

  let sent = 0
  let over = false
  const producing = (async () => {
    t.after(() => (over = true))
    while (!over) {
      const numbers = Array.from({ length: 40 }, () => sent++)
      const records = numbers.map((n) => ({ value: String(n), partition: n % partitions }))
      await platform.client.produce('rules', records)
      await pause(20) // or so much is sent meanwhile that reading it takes longest
    }
  })()
  /** How many numbers were sent when the command had answered: who reads then gets all from there on. */
  const scale = async (instances: number): Promise<number> => {
    await platform.json(['fn', 'scale', 'listen', String(instances)])
    const from = sent + 40 // a call may be under way
    await platform.until(
      'listen',
      ({ state, instances: list }) => state === 'running' && list.length === instances,
    )
    return from
  }
  const wait = async (records: number): Promise<void> => {
    const { recordsIn } = await platform.client.inspect('listen')
    await platform.until('listen', (now) => now.recordsIn >= recordsIn + records)
  }
  await wait(500)
  const third = await scale(3)
  await wait(1000)
  await deploy('console.log(2)', '--instances', '3') // in place
  await wait(500)
  await platform.json(['kill', '-id', 'listen-1', '--restart'])
  await wait(500)
  await deploy('console.log(3)', '--drain', '--instances', '3')
  await wait(500)
  await scale(2)
  await wait(500)
  over = true
  await producing
  const { ledger } = await platform.until('listen', ({ ledger: rows }) =>
    rows.every((row) => row.inFlight === 0),
  )
  const row = ledger.find(({ stream }) => stream === 'rules')!
  assert.deepEqual(
    { unaccounted: row.unaccounted, dropped: row.dropped, stateLost: row.stateLost },
    { unaccounted: 0, dropped: {}, stateLost: 0 },
  )
  assert.equal(row.sent, row.processed)
  await reader.read(row.processed)
  assert.equal(reader.records.length, row.processed)

  const byInstance = new Map<number, Heard[]>()
  for (const { value } of reader.records) {
    const [instance, number, partition, count] = String(value).split(' ').map(Number) as [
      number,
      number,
      number,
      number,
    ]
    const heard = byInstance.get(instance) ?? []
    byInstance.set(instance, heard)
    heard.push({ number, partition, count })
  }
  assert.deepEqual([...byInstance.keys()].sort(), [0, 1, 2])
  for (const [instance, all] of byInstance) {
    for (let partition = 0; partition < partitions; partition++) {
      const heard = all.filter((each) => each.partition === partition)
      const first = heard[0]!.number
      const isWhole = heard.every(
        ({ number, count }, i) => number === first + i * partitions && count === i + 1,
      )
      assert.ok(isWhole, `instance ${instance}, partition ${partition}: each once, in order, and so counted`)
      assert.ok(instance === 0 ? first === partition : first < third, `from ${first} on`)
      const last = heard.at(-1)!.number
      if (instance < 2) assert.ok(last >= sent - partitions, `up to ${last} of ${sent}`)
    }
  }
  t.diagnostic(`${sent} records, ${row.processed} heard`)
})
