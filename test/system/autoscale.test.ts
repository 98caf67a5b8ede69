import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { headers } from '@nats-io/transport-node'
import { connectBus, type NatsConnection } from '../../infra/bus/index.ts'
import type { Credentials } from '../../infra/local/index.ts'
import type { Scaling } from '../../sdk/api/index.ts'
import { Steps, stepSource, writeProject } from './load/steps.ts'
import { Platform, Reader } from './platform.ts'

async function until(
  what: string,
  wanted: () => boolean | Promise<boolean>,
  timeoutMs = 180_000,
): Promise<number> {
  const startMs = performance.now()
  while (!(await wanted())) {
    if (performance.now() - startMs > timeoutMs) throw new Error(`it never came to this: ${what}`)
    await sleep(100)
  }
  return (performance.now() - startMs) / 1000
}

test('a function that waits is scaled from 1 to 8 instances and back by its load: each record once, in order, with its state', {
  timeout: 600_000,
}, async (t) => {
  const platform = await Platform.start(t)
  const name = 'waits'
  const scale = {
    ...{ min: 1, max: 8, targets: { behindMs: 1000 }, up: { afterMs: 1000 } },
    down: { afterMs: 3000, coolDownMs: 1000, step: 8 },
  }
  const manifest = { instancesPerRunner: 8, resources: { cpus: 0.1, memMib: 32 }, scale }
  await platform.json(['fn', 'deploy', writeProject(platform.home, name, stepSource(name, 2), manifest)])
  const steps = await Steps.start(platform.client, name)
  const running = async () => (await platform.client.inspect(name)).instancesRunning
  steps.rate = 100
  await until('outputs', () => steps.outputs >= 200)

  steps.rate = 2600 // nearly all that eight can do
  const eightS = await until('8 instances', async () => (await running()) === 8)
  steps.rate = 50
  const oneS = await until('1 instance', async () => (await running()) === 1)
  await steps.end()

  const why = (await platform.cli(['fn', 'scale', name, '--why'])).stdout
  t.diagnostic(
    `${steps.sent} records; 8 instances after ${eightS.toFixed(1)} s, 1 again after ${oneS.toFixed(1)} s\n${why}`,
  )
  assert.deepEqual(steps.faults.slice(0, 5), [])
  assert.equal(steps.outputs, steps.sent)
  assert.match(why, /\d → 8 .*records\/s come/)
  assert.match(why, /, a start takes \d+\.\d s\n/)
  const { ledger } = await platform.client.inspect(name)
  assert.equal(ledger[0]!.unaccounted + ledger[0]!.stateLost, 0)

  const pinned = await platform.json<{ pinned: boolean }>(['fn', 'scale', name, '3'])
  assert.equal(pinned.pinned, true)
  const scaling = await platform.json<Scaling>(['fn', 'scale', name, '--why'])
  assert.equal(scaling.pinned, true)
  assert.equal(scaling.instancesWanted, 3)
  await platform.json(['fn', 'scale', name, '--auto'])
  await until('1 instance, by the policy', async () => (await running()) === 1)
})

test('a function goes to zero when nothing comes, and the first record, by HTTP or NATS, brings it back with its state and is not lost', {
  timeout: 600_000,
}, async (t) => {
  const platform = await Platform.start(t)
  for (const [name, warm] of [
    ['cold', false],
    ['warm', true],
  ] as const) {
    const scale = { min: 0, max: 2, idle: { afterMs: 1500, warm }, down: { afterMs: 1000, coolDownMs: 0 } }
    const manifest = { instancesPerRunner: 2, resources: { cpus: 0.1, memMib: 64 }, scale }
    await platform.json(['fn', 'deploy', writeProject(platform.home, name, stepSource(name, 0), manifest)])
  }
  const nats = await natsClient(platform)
  t.after(() => nats.close())
  for (const name of ['cold', 'warm']) {
    const reader = await Reader.start(t, platform, [`${name}-out`, '--hold'])
    const sends = {
      http: (text: string) => platform.client.produce(`${name}-in`, [{ key: 'k', value: text }]),
      nats: async (text: string) => {
        const key = headers()
        key.set('Concord-Key', 'k')
        nats.publish(`concord.default.in.${name}-in`, text, { headers: key })
      },
    }
    let count = 0
    for (const [by, send] of Object.entries(sends)) {
      await until('nobody is there', async () => {
        const { instancesWanted, instances } = await platform.client.inspect(name)
        return instancesWanted === 0 && instances.length === 0
      })
      const fromMs = performance.now()
      await send(by)
      await reader.read(++count)
      t.diagnostic(`${name}, ${by}: first output after ${Math.round(performance.now() - fromMs)} ms`)
      assert.equal(reader.records.at(-1)!['value'], `${by} ${count}`, 'with its state, once')
    }
    await reader.end()
  }
})

async function natsClient(platform: Platform): Promise<NatsConnection> {
  const { nats } = JSON.parse(readFileSync(join(platform.home, 'credentials.json'), 'utf8')) as Credentials
  return await connectBus({ name: 'test', url: platform.natsUrl, ...nats.client })
}
