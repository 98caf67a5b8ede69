import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { residentBytes } from '../../runner/process/proc.ts'
import { Platform, startCli } from './platform.ts'

/** Ten minutes in the long mode, which judges how memory grows after the first. */
const minutes = Number(process.env['CONCORD_OVERLOAD_MINUTES'] ?? 0.2)
const slopeMaxMbPerMinute = 1
const growthMaxBytes = 64 * 1024 * 1024
const valueBytes = 4096

const sink = `
import { defineFunction, shuffle } from 'concord'
export default defineFunction({
  metadata: { name: 'sink', istreams: { flood: shuffle }, ostreams: ['drained'] },
  async processRecord(ctx, record) {
    await new Promise((done) => setTimeout(done, 1))
    ctx.produceRecord('drained', record.key, record.value)
  },
})
`
const pass = `
import { defineFunction, shuffle } from 'concord'
export default defineFunction({
  metadata: { name: 'pass', istreams: { source: shuffle }, ostreams: ['flood'] },
  processRecord(ctx, record) { ctx.produceRecord('flood', record.key, record.value) },
})
`

test('a slow function slows all before it, up to who produces; memory stays bounded and nothing is lost', {
  timeout: 400_000 + minutes * 120_000,
}, async (t) => {
  const platform = await Platform.start(t)
  await platform.deploy('sink', sink)
  await platform.deploy('pass', pass)
  const runners = await Promise.all(
    ['sink', 'pass'].map(
      async (name) =>
        (await platform.until(name, (d) => d.instances[0]?.pid !== undefined)).instances[0]!.pid!,
    ),
  )

  const load = startCli(['produce', 'source', '--json'], platform.env)
  load.stdin!.on('error', () => undefined) // it is ended while it is fed, if the test fails
  let feeding = true
  t.after(() => {
    feeding = false
    load.kill('SIGKILL')
  })
  let said = ''
  load.stdout!.on('data', (text: Buffer) => {
    said += text.toString()
  })
  load.stderr!.resume()
  const line = `${'x'.repeat(valueBytes)}\n`.repeat(100)
  let produced = 0
  const feed = (async () => {
    for (; feeding; produced += 100) if (!load.stdin!.write(line)) await once(load.stdin!, 'drain')
    load.stdin!.end()
  })()
  feed.catch(() => undefined) // it is told below, unless the test has failed before
  await platform.until('sink', ({ ledger: [row] }) => row!.inFlight > 1000) // all before it is full, or soon

  const pids = { ...platformPids(platform), sink: runners[0]!, pass: runners[1]!, produce: load.pid! }
  const memory = Object.fromEntries(Object.keys(pids).map((name) => [name, [] as [number, number][]]))
  const startMs = performance.now()
  for (let nowMs = 0; nowMs < minutes * 60_000; nowMs = performance.now() - startMs) {
    for (const [name, pid] of Object.entries(pids))
      memory[name]!.push([nowMs / 60_000, residentBytes(pid) ?? 0])
    await setTimeout(500)
  }
  const faults = Object.entries(memory).flatMap(([name, samples]) => {
    const bytes = samples.map(([, resident]) => resident)
    const growth = Math.max(...bytes) - bytes[0]!
    const from = (minute: number) => slopeOf(samples.filter(([at]) => at >= minute)) / 1e6
    const slope = minutes > 2 ? from(1) : 0
    t.diagnostic(
      `${name}: ${(bytes.at(-1)! / 1e6).toFixed(0)} MB, at most ${(growth / 1e6).toFixed(1)} MB more than at first, ${slope.toFixed(2)} MB a minute${minutes > 2 ? `, in the second half ${from(minutes / 2).toFixed(2)}` : ''}`,
    )
    return growth < growthMaxBytes && slope <= slopeMaxMbPerMinute ? [] : [name]
  })
  assert.deepEqual(faults, [], 'they grow')

  feeding = false
  await Promise.all([feed, once(load, 'close')])
  assert.deepEqual(JSON.parse(said.trimEnd().split('\n').at(-1)!), { accepted: produced, unknown: 0 })
  for (const name of ['pass', 'sink']) {
    const { ledger } = await platform.until(
      name,
      ({ ledger: [row] }) => row!.sent === produced && row!.inFlight === 0,
    )
    assert.equal(ledger[0]!.processed, produced)
  }
})

/** Least squares. */
function slopeOf(samples: readonly (readonly [number, number])[]): number {
  const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length
  const x = mean(samples.map(([at]) => at))
  const y = mean(samples.map(([, bytes]) => bytes))
  const [over, under] = samples.reduce(
    ([a, b], [at, bytes]) => [a + (at - x) * (bytes - y), b + (at - x) ** 2],
    [0, 0] as [number, number],
  )
  return over / under
}

function platformPids(platform: Platform): Record<string, number> {
  const { processes } = JSON.parse(readFileSync(join(platform.home, 'up.json'), 'utf8')) as {
    processes: Record<string, { pid: number }>
  }
  return {
    up: platform.upPid,
    ...Object.fromEntries(Object.entries(processes).map(([name, { pid }]) => [name, pid])),
  }
}
