import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { test } from 'node:test'
import type { BackPressure } from '../../sdk/index.ts'
import { Platform, Reader, startCli } from './platform.ts'

/** Six MiB. */
const records = 1600
const valueBytes = 4096

/** Says which record it had. */
function passing(name: string, backPressure: BackPressure, queueMib: number): string {
  return `import { defineFunction, shuffle } from 'concord'
export default defineFunction({
  metadata: {
    name: '${name}',
    istreams: { '${name}-in': { grouping: shuffle, backPressure: '${backPressure}', queueMib: ${queueMib} } },
    ostreams: ['${name}-out'],
  },
  processRecord(ctx, record) {
    ctx.produceRecord('${name}-out', record.key, String(Number(record.text().slice(0, 8))))
  },
})
`
}

const values = Array.from({ length: records }, (_, i) => ({
  value: String(i).padStart(8, '0').padEnd(valueBytes, 'x'),
}))

/** All that it has said, and its account when nothing is in flight any more. */
async function settled(platform: Platform, name: string, out: Reader) {
  const { ledger } = await platform.until(
    name,
    ({ ledger: [row] }) => row!.sent === records && row!.inFlight === 0,
  )
  const { processed, dropped, unaccounted } = ledger[0]!
  await out.read(processed)
  const numbers = out.records.map(({ value }) => Number(value))
  assert.deepEqual(
    numbers,
    [...new Set(numbers)].sort((a, b) => a - b),
    'in order, none twice',
  )
  assert.equal(numbers.length, processed)
  assert.equal(unaccounted, 0)
  assert.equal(processed + Object.values(dropped).reduce((sum, n) => sum + n, 0), records)
  await out.end()
  return { numbers, dropped }
}

test('while nobody reads, the newest, the oldest or all up to the bound on disk are kept, in order, and each drop is counted', {
  timeout: 400_000,
}, async (t) => {
  const platform = await Platform.start(t)
  const { client } = platform
  const budgets = { dropHead: 1, dropTail: 1, enqueue: 4 } as const
  const kept = async (mode: keyof typeof budgets) => {
    const name = mode.toLowerCase()
    const queueMib = budgets[mode]
    const out = await Reader.start(t, platform, [`${name}-out`, '--hold'])
    await client.scale(name, 0)
    await platform.until(name, ({ state }) => state === 'stopped')
    const { accepted } = await client.produce(`${name}-in`, values)
    assert.equal(accepted, records, 'nobody was held back')
    const { ledger } = await platform.until(
      name,
      ({ ledger: [row] }) => row!.sent === records && (mode !== 'enqueue' || row!.spilled === row!.inFlight),
    )
    const { inFlight } = ledger[0]!
    assert.ok(inFlight * valueBytes > 0.95 * queueMib * 2 ** 20, `${inFlight} records wait`)
    assert.ok(inFlight * valueBytes < queueMib * 2 ** 20)
    const { stdout } = await platform.cli(['fn', 'inspect', name])
    await client.scale(name, 1)
    return { ...(await settled(platform, name, out)), inFlight, stdout }
  }
  for (const mode of ['dropHead', 'dropTail', 'enqueue'] as const) {
    const name = mode.toLowerCase()
    for (const stream of [`${name}-in`, `${name}-out`]) await client.createStream(stream, { partitions: 1 })
    await platform.deploy(name, passing(name, mode, budgets[mode]))
  }
  const [head, tail, queue] = await Promise.all([kept('dropHead'), kept('dropTail'), kept('enqueue')])

  assert.deepEqual(head.dropped, { dropHead: records - head.inFlight })
  assert.deepEqual(head.numbers, numbersFrom(records - head.inFlight, head.inFlight), 'the newest')
  assert.match(head.stdout, /\d+ dropHead/)
  // At the bound a small frame may fit where the one before it did not.
  assert.deepEqual(tail.dropped, { dropTail: records - tail.inFlight })
  assert.deepEqual(tail.numbers.slice(0, 240), numbersFrom(0, 240), 'the oldest')
  assert.deepEqual(queue.dropped, { queueFull: records - queue.inFlight })
  assert.deepEqual(queue.numbers.slice(0, 960), numbersFrom(0, 960), 'drained in order')
  assert.match(queue.stdout, /ON DISK\n.* \d+ \([\d.]+ MB\)/)
})

test('sent, processed, dropped, on disk and unaccounted add up through a restart of NATS, a paused owner and killed ones', {
  timeout: 400_000,
}, async (t) => {
  const platform = await Platform.start(t)
  const modes = { quick: 'block', newest: 'dropHead', oldest: 'dropTail', queued: 'enqueue' } as const
  const names = Object.keys(modes) as (keyof typeof modes)[]
  for (const stream of ['load', ...names.map((name) => `${name}-out`)])
    await platform.json(['stream', 'create', stream, '--partitions', '1'])
  for (const name of names) await platform.deploy(name, slowAtFirst(name, modes[name]))
  const outs = await Promise.all(names.map((name) => Reader.start(t, platform, [`${name}-out`, '--hold'])))

  const load = startCli(['produce', 'load', '--rate', '2000', '--json'], platform.env)
  t.after(() => load.kill('SIGKILL'))
  const answers = createInterface({ input: load.stdout! })
  const accepted = once(answers, 'line').then(
    ([line]) => (JSON.parse(String(line)) as { accepted: number }).accepted,
  )
  let produced = 0
  let feeding = true
  const feed = (async () => {
    for (; feeding; produced++) {
      const line = `${String(produced).padStart(8, '0').padEnd(1000, 'x')}\n`
      if (!load.stdin!.write(line)) await once(load.stdin!, 'drain')
    }
    load.stdin!.end()
  })()

  const filled = (name: string) => platform.until(name, ({ ledger: [row] }) => row!.inFlight > 1200)
  for (const name of ['newest', 'oldest', 'queued']) await filled(name)
  await platform.until('queued', ({ ledger: [row] }) => (row!.spilled ?? 0) > 0)
  const { processes } = JSON.parse(readFileSync(join(platform.home, 'up.json'), 'utf8')) as {
    processes: Record<string, { pid: number }>
  }
  process.kill(processes['nats-server']!.pid, 'SIGKILL')
  const before = (await platform.client.inspect('quick')).recordsIn
  await platform.until('quick', ({ recordsIn }) => recordsIn > before + 500)

  const paused = (await platform.client.inspect('newest')).instances[0]!.pid!
  const watchdog = Number(/^PPid:\s+(\d+)/m.exec(readFileSync(`/proc/${paused}/status`, 'utf8'))![1])
  for (const pid of [watchdog, paused]) process.kill(pid, 'SIGSTOP')
  const dropped = (await filled('newest')).ledger[0]!.dropped['dropHead'] ?? 0
  await platform.until('newest', ({ ledger: [row] }) => (row!.dropped['dropHead'] ?? 0) > dropped + 500)
  for (const pid of [paused, watchdog]) process.kill(pid, 'SIGCONT')

  for (const name of ['queued', 'oldest', 'quick']) {
    const { pid } = (await platform.client.inspect(name)).instances[0]!
    process.kill(pid!, 'SIGKILL')
    await platform.until(name, ({ state, instances: [one] }) => state === 'running' && one?.pid !== pid)
  }
  feeding = false
  await feed
  assert.equal(await accepted, produced)

  for (const [i, name] of names.entries()) {
    const { ledger } = await platform.until(
      name,
      ({ ledger: [row] }) => row!.sent === produced && row!.inFlight === 0,
    )
    const { processed, dropped, unaccounted, ...row } = ledger[0]!
    const lost = Object.values(dropped).reduce((sum, n) => sum + n, 0)
    t.diagnostic(
      `${name}: ${produced} = ${processed} + ${JSON.stringify(dropped)} + ${unaccounted} unaccounted`,
    )
    assert.equal(processed + lost + unaccounted, produced, JSON.stringify(row))
    assert.deepEqual(
      Object.keys(dropped),
      { quick: [], newest: ['dropHead'], oldest: ['dropTail'], queued: [] }[name],
    )
    await outs[i]!.read(processed)
    const numbers = outs[i]!.records.map(({ value }) => Number(value))
    assert.deepEqual(
      numbers,
      [...new Set(numbers)].sort((a, b) => a - b),
      'in order, none twice',
    )
    assert.ok(numbers.length <= processed + unaccounted)
  }
})

/** Takes its time, but for \`block\`, for the first thousands of records. */
function slowAtFirst(name: string, backPressure: BackPressure): string {
  const queue = backPressure === 'dropHead' || backPressure === 'dropTail' ? ', queueMib: 1' : ''
  return `import { defineFunction, shuffle } from 'concord'
export default defineFunction({
  metadata: {
    name: '${name}',
    istreams: { load: { grouping: shuffle, backPressure: '${backPressure}'${queue} } },
    ostreams: ['${name}-out'],
  },
  async processRecord(ctx, record) {
    const number = Number(record.text().slice(0, 8))
    if (${backPressure !== 'block'} && number < 6_000) await new Promise((done) => setTimeout(done, 2))
    ctx.produceRecord('${name}-out', record.key, String(number))
  },
})
`
}

function numbersFrom(start: number, count: number): number[] {
  return Array.from({ length: count }, (_, i) => start + i)
}
