import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Platform, Reader } from './platform.ts'

test('a function whose heap stays full goes on in a fresh isolate, with its state and without a restart', {
  timeout: 400_000,
}, async (t) => {
  const platform = await Platform.start(t)
  await platform.deploy(
    'leaks',
    `import { defineFunction, groupBy } from 'concord'
const kept: number[][] = []
export default defineFunction({
  metadata: { name: 'leaks', istreams: { 'leaks-in': groupBy }, ostreams: ['leaks-out'] },
  processRecord(ctx, record) {
    kept.push(Array.from({ length: 50_000 }, (_, i) => i + Math.random()))
    ctx.produceRecord('leaks-out', record.key, \`\${ctx.counter('all').add()} \${kept.length}\`)
  },
})
`,
  )
  const out = await Reader.start(t, platform, ['leaks-out', '--hold'])
  const counts = (): number[][] => out.records.map(({ value }) => String(value).split(' ').map(Number))
  let sent = 0
  const send = async (records: number): Promise<void> => {
    const given = Array.from({ length: records }, () => ({ key: 'k', value: 'x' }))
    await platform.client.produce('leaks-in', given)
    sent += records
    await out.read(sent)
  }
  await send(150) // ≈ 60 MB of a heap of 64
  while (counts().at(-1)![1]! > 100 && sent < 2000) await send(1)
  assert.ok(counts().at(-1)![1]! <= 100, 'the array of another isolate')
  assert.deepEqual(
    counts().map(([all]) => all),
    Array.from({ length: sent }, (_, i) => i + 1),
    'its state has gone over',
  )
  const detail = await platform.until('leaks', (d) => d.ledger[0]!.inFlight === 0)
  assert.equal(detail.instances[0]!.restarts, 0)
  const { sent: given, processed, dropped, unaccounted } = detail.ledger[0]!
  assert.deepEqual(
    { given, processed, dropped, unaccounted },
    { given: sent, processed: sent, dropped: {}, unaccounted: 0 },
  )
  await platform.untilLogged(
    'leaks',
    /heap stays at \d+ MiB of the 64 .*\(limits\.heapMib\): a fresh isolate has taken over/,
  )
})

test('a function that uses more CPU a second than it may is held back, told so, and loses nothing', {
  timeout: 400_000,
}, async (t) => {
  const platform = await Platform.start(t)
  const { writeFileSync, mkdirSync } = await import('node:fs')
  const folder = `${platform.home}/burns`
  mkdirSync(folder)
  writeFileSync(
    `${folder}/index.ts`,
    `import { defineFunction, groupBy } from 'concord'
export default defineFunction({
  metadata: { name: 'burns', istreams: { 'burns-in': groupBy }, ostreams: ['burns-out'] },
  processRecord(ctx, record) {
    let sum = 0
    for (let i = 0; i < 2_000_000; i++) sum += Math.sqrt(i)
    ctx.produceRecord('burns-out', record.key, String(sum))
  },
})
`,
  )
  writeFileSync(`${folder}/concord.jsonc`, '{ "main": "index.ts", "limits": { "cpuMsPerSecond": 50 } }')
  await platform.json(['fn', 'deploy', folder])
  const out = await Reader.start(t, platform, ['burns-out', '--hold'])
  await platform.json(['produce', 'burns-in', '--key', 'k'], Array(40).fill('x').join('\n'))
  await out.read(40)
  const detail = await platform.until(
    'burns',
    (d) => d.ledger[0]!.inFlight === 0 && d.instances[0]!.throttledMs > 0,
  )
  assert.equal(detail.ledger[0]!.processed, 40)
  assert.equal(detail.instances[0]!.restarts, 0)
  const inspected = (await platform.cli(['fn', 'inspect', 'burns'])).stdout
  assert.match(inspected, /burns-0: slowed down for [\d.]+ s in all by limits\.cpuMsPerSecond/)
  await platform.untilLogged(
    'burns',
    /Held back for \d+ ms at burns-in\/\d+ #\d+: a batch used \d+ ms of CPU, and it may have 50 in a second \(limits\.cpuMsPerSecond\)/,
  )
})

test('a function that makes an Intl format for each record, whose memory V8 does not see, loses nothing', {
  timeout: 400_000,
}, async (t) => {
  const platform = await Platform.start(t)
  const { writeFileSync, mkdirSync } = await import('node:fs')
  const folder = `${platform.home}/hours`
  mkdirSync(folder)
  writeFileSync(
    `${folder}/index.ts`,
    `import { defineFunction, groupBy } from 'concord'
export default defineFunction({
  metadata: { name: 'hours', istreams: { moments: groupBy }, ostreams: ['hour-texts'] },
  processRecord(ctx, record) {
    const timeZone = record.text()
    const hour = new Intl.DateTimeFormat('en', { timeZone, hour: 'numeric', hourCycle: 'h23' }).format(record.timeMs)
    ctx.produceRecord('hour-texts', record.key, hour)
  },
})
`,
  )
  writeFileSync(
    `${folder}/concord.jsonc`,
    '{ "main": "index.ts", "limits": { "stateMib": 8 }, "resources": { "memMib": 192 } }',
  )
  await platform.json(['fn', 'deploy', folder])
  const out = await Reader.start(t, platform, ['hour-texts', '--hold'])
  const sent = 20_000 // which hold 600 MiB if nobody collects them
  const zones = ['Europe/Zurich', 'America/New_York', 'Asia/Kolkata', 'Pacific/Apia']
  const lines = Array.from({ length: sent }, (_, i) => `k${i}\t${zones[i % 4]}`)
  await platform.json(['produce', 'moments', '--key-tab'], lines.join('\n'))
  const detail = await platform.until('hours', (d) => {
    const { processed, unaccounted } = d.ledger[0]!
    return processed + unaccounted === sent
  })
  assert.equal(detail.ledger[0]!.unaccounted, 0)
  assert.equal(detail.instances[0]!.restarts, 0)
  await out.read(sent)
})
