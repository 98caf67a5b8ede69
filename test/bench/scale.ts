/**
 * Scale: a function that waits 2 ms for each record, on a whole one-machine platform, as its load becomes ten times what it was; and
 * one that sleeps, with 10 MB of state, from its first record to its output.
 * @module
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { pathToFileURL } from 'node:url'
import { Platform } from '../../functions/demo/platform.ts'
import { connectBus, type NatsConnection } from '../../infra/bus/index.ts'
import type { Credentials } from '../../infra/local/index.ts'
import type { ConcordClient } from '../../sdk/client/index.ts'
import { Steps, stepSource, writeProject } from '../system/load/steps.ts'
import { type Deploy, measureSleep } from './stage/sleep.ts'
import type { Benchmark, Sample } from './suite/benchmark.ts'

const lowRate = 150
const highRate = 1500
const targetMs = 1000
/** So long below the target: it is back. */
const calmMs = 3_000
const steadyMs = 20_000
const waitMs = 120_000

export const scale: Benchmark = {
  name: 'scale',
  measures:
    `seconds until a function that waits 2 ms for each record is less than ${targetMs} ms behind again, after its load has gone from ` +
    `${lowRate} to ${highRate} records/s; changes of its number in ${steadyMs / 1000} s of that load with 20 % noise; milliseconds from the first record to ` +
    'its output for a function with no instance and 10 MB of state',
  measuresNot:
    'several machines, and runners of one instance each: all share a runner, so that an instance more is an isolate more.',
  figures: {
    step: { title: 'back under target', unit: 's' },
    changes: { title: 'changes after', unit: '' },
    warm: { title: 'from zero, warm', unit: 'ms' },
    'warm-channel': { title: 'by channel', unit: 'ms', compared: false },
    'warm-nats': { title: 'by NATS', unit: 'ms', compared: false },
    cold: { title: 'from zero, new task', unit: 'ms' },
    'cold-channel': { title: 'by channel', unit: 'ms', compared: false },
    'cold-nats': { title: 'by NATS', unit: 'ms', compared: false },
    instances: { title: 'instances', unit: '', compared: false },
    toOne: { title: 'to 1 again', unit: 's', compared: false },
  },
  subject: 'Concord',
  references: {},
  async open() {
    const folder = mkdtempSync(join(tmpdir(), 'concord-bench-scale-'))
    const platform = await Platform.create()
    const client = await platform.start()
    const nc = await plainClient(platform.home)
    let round = 0
    const deploy = async (name: string, source: string, scale: object): Promise<void> => {
      const manifest = { instancesPerRunner: 16, resources: { cpus: 0.1, memMib: 96 }, scale }
      const project = writeProject(folder, name, source, manifest)
      await platform.deploy(pathToFileURL(project), [], AbortSignal.timeout(waitMs))
    }
    return {
      measure: async () => {
        round += 1
        const stepped = await measureStep(client, `waits${round}`, deploy)
        const warm = await measureSleep(client, nc, `warm${round}`, true, deploy)
        const cold = await measureSleep(client, nc, `cold${round}`, false, deploy)
        const sleeps = {
          ...{ warm: warm.http, 'warm-channel': warm.channel, 'warm-nats': warm.nats },
          ...{ cold: cold.http, 'cold-channel': cold.channel, 'cold-nats': cold.nats },
        }
        return { ...stepped, values: { ...stepped.values, ...sleeps } }
      },
      close: async () => {
        await nc.close()
        await platform.close()
        rmSync(folder, { recursive: true })
      },
    }
  },
}

async function measureStep(client: ConcordClient, name: string, deploy: Deploy): Promise<Sample> {
  const down = { afterMs: 6_000, coolDownMs: 0, step: 16 }
  await deploy(name, stepSource(name, 2), {
    min: 1,
    max: 16,
    targets: { behindMs: targetMs },
    up: { afterMs: 1000 },
    down,
  })
  const steps = await Steps.start(client, name)
  const wanted = async (): Promise<number> => (await client.inspect(name)).instancesWanted
  steps.rate = lowRate
  await sleep(5_000)
  steps.rate = highRate
  const fromMs = performance.now()
  let behindAtMs = fromMs
  while (performance.now() - Math.max(behindAtMs, fromMs + calmMs) < calmMs) {
    if (steps.behindMs > targetMs) behindAtMs = performance.now()
    if (performance.now() - fromMs > waitMs)
      throw new Error(`it was never less than ${targetMs} ms behind again`)
    await sleep(20)
  }
  const instances = await wanted()
  const changesBefore = (await client.scaling(name)).changes.length
  for (const untilMs = performance.now() + steadyMs; performance.now() < untilMs; await sleep(1000))
    steps.rate = highRate * (0.8 + 0.4 * Math.random())
  const changes = (await client.scaling(name)).changes.length - changesBefore
  steps.rate = lowRate / 4
  const lowMs = performance.now()
  while ((await wanted()) > 1 && performance.now() - lowMs < waitMs) await sleep(100)
  const toOne = (performance.now() - lowMs) / 1000
  await steps.end()
  await client.remove(name, { drop: true })
  return {
    values: { step: (behindAtMs - fromMs) / 1000, changes, instances, toOne },
    checks: { lost: steps.sent - steps.outputs, repeated: 0, reordered: steps.faults.length },
  }
}

async function plainClient(home: string): Promise<NatsConnection> {
  const { nats } = JSON.parse(readFileSync(join(home, 'credentials.json'), 'utf8')) as Credentials
  const { freePorts } = JSON.parse(readFileSync(join(home, 'up.json'), 'utf8')) as {
    freePorts: { nats: number }
  }
  return await connectBus({ name: 'plain client', url: `nats://127.0.0.1:${freePorts.nats}`, ...nats.client })
}
