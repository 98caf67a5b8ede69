/**
 * Chaos with counts: a keyed count under load on an overloaded machine, while one thing after the other is taken from it. In
 * the end each record is judged, and the counts are what was sent less what the ledger says that the state lacks (I7).
 * @module
 */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { Random } from '../../functions/demo/random.ts'
import type { FunctionDetail } from '../../sdk/api/index.ts'
import { Ends } from './load/ends.ts'
import { type FaultName, faults } from './load/faults.ts'
import { functionOf, keysByPartition } from './load/records.ts'
import { Traffic } from './load/traffic.ts'
import { Platform, Reader } from './platform.ts'

/** Faults at random in the long mode; else these. */
const wanted = Number(process.env['CONCORD_CHAOS'] ?? 0)
const short: readonly FaultName[] = [
  'a runner killed',
  'instances more or less',
  'nats-server killed',
  'the scheduler killed',
]
const seed = Number(process.env['CONCORD_CHAOS_SEED'] ?? (wanted === 0 ? 1 : Date.now() % 1_000_000))
/** Programs that want a whole core each. */
const burners = Number(process.env['CONCORD_CHAOS_BURNERS'] ?? availableParallelism())
const recoveryMs = 180_000
/** So that a window has few records. */
const valueBytes = 1000
const name = 'chaos'

test(`counts are right after ${wanted || short.length} faults under load (seed ${seed})`, {
  timeout: 400_000 + wanted * 60_000,
}, async (t) => {
  const platform = await Platform.start(t)
  const random = new Random(seed)
  let version = 0
  const deploy = () => deployVersion(platform, ++version)
  await deploy()
  const records = Number.POSITIVE_INFINITY
  const traffic = await Traffic.start(t, platform, { name, producers: 2, records, rate: 2000, valueBytes })
  for (let i = 0; i < burners; i++) burn(t)
  const ends = new Ends()
  await recovered(platform, 'the start', ends)

  const plan = wanted === 0 ? short : Array.from({ length: wanted }, () => random.pick(allFaults))
  for (const fault of plan) {
    const startMs = performance.now()
    await faults[fault]({ platform, name, random, redeploy: deploy })
    await recovered(platform, fault, ends)
    t.diagnostic(`${fault}: ${((performance.now() - startMs) / 1000).toFixed(1)} s`)
  }

  traffic.stop()
  const { sent, unaccounted, loss, dropped } = await traffic.judged(ends.count)
  const { total, byPartition } = await askCounts(t, platform)
  const isDone = (d: FunctionDetail) => d.state === 'running' && d.ledger[0]!.inFlight === 0
  const { ledger } = await platform.until(name, isDone)
  const { stateLost } = ledger[0]!
  const figures = `${sent} sent, ${unaccounted} unaccounted, ${loss} missing, ${dropped} dead letters, ${stateLost} lost to state, ${total} counted`
  t.diagnostic(figures)
  assert.equal(
    total,
    sent - dropped - stateLost,
    `${figures}; by partition ${byPartition}; ${JSON.stringify(ledger)}`,
  )
})

const allFaults = Object.keys(faults) as FaultName[]

async function deployVersion(platform: Platform, version: number): Promise<void> {
  const chances = { throwsPerMillion: 0, timersPerMillion: 0, asyncPerMillion: 50 } // a timer of the last checkpoint may fire again
  const source = functionOf({ name, ...chances, keepsState: false, counts: true })
  writeFileSync(join(platform.home, 'chaos.ts'), `${source}\nexport const version = ${version}\n`)
  const file = join(platform.home, 'chaos.jsonc')
  const manifest = { main: './chaos.ts', checkpoint: { everyMs: 1000 }, restarts: 1000, instances: 2 }
  writeFileSync(file, JSON.stringify(manifest))
  await platform.json(['deploy', file])
}

/** Waits until all instances that are wanted run, and process records. */
async function recovered(platform: Platform, from: string, ends: Ends): Promise<void> {
  const isWhole = ends.seen((d) => d.state === 'running' && d.instancesRunning === d.instancesWanted)
  try {
    let least = processedBy(await platform.until(name, isWhole, recoveryMs))
    const goesOn = (d: FunctionDetail) => {
      least = Math.min(least, processedBy(d)) // an instance that has gone takes its number along
      return isWhole(d) && processedBy(d) > least + 2000
    }
    await platform.until(name, goesOn, recoveryMs)
  } catch (error) {
    throw new Error(`It did not recover from ${from} (seed ${seed})`, { cause: error })
  }
}

const processedBy = ({ instances }: FunctionDetail) => instances.reduce((sum, one) => sum + one.recordsIn, 0)

/** Asks the function for its counts, one of each partition. */
async function askCounts(t: TestContext, platform: Platform) {
  const reader = await Reader.start(t, platform, [`${name}-counts`, '--hold'])
  const asks = keysByPartition().map((key) => ({ key: Buffer.from(key).toString(), value: 'ask' }))
  await platform.client.produce(`${name}-in`, asks)
  await reader.read(asks.length)
  const answers = new Map(reader.records.map(({ key, value }) => [String(key), Number(value)]))
  const byPartition = asks.map(({ key }) => answers.get(key) ?? 0)
  return { byPartition, total: byPartition.reduce((sum, count) => sum + count, 0) }
}

function burn(t: TestContext): void {
  const child: ChildProcess = spawn(process.execPath, ['-e', 'for (;;);'], { stdio: 'ignore' })
  t.after(() => child.kill('SIGKILL'))
}
