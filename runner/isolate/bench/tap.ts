/**
 * Bench of the tap: what keeping recent inputs costs, as CPU time of the whole process against an instance that keeps none, in
 * turns within one run. What it does not measure: NATS.
 *
 *   node --no-node-snapshot runner/isolate/bench/tap.ts [rounds]
 * @module
 */
import { giveBackMemory } from '../../../infra/bus/index.ts'
import { manifestSchema } from '../../../sdk/manifest/manifest.ts'
import { SingleIsolate } from '../index.ts'
import { bundleOf, nowMs } from '../testing/harness.ts'
import { makeFrames, partitions } from './frames.ts'

const rounds = Number(process.argv[2] ?? 40)
const roundMs = 200
const source = `export default {
  metadata: { name: 'fn', istreams: { in: 'groupBy' }, ostreams: ['out'] },
  processRecord(ctx, record) {
    const count = ctx.getState(record.key) ?? new Uint8Array(4)
    if (++count[0] === 0 && ++count[1] === 0) ++count[2]
    ctx.setState(record.key, count)
    ctx.produceRecord('out', record.key, record.value)
  },
}`

async function start(tapBytes: number): Promise<SingleIsolate> {
  const istreams = { in: { grouping: 'groupBy' as const } }
  const manifest = manifestSchema.parse({ name: 'fn', istreams, ostreams: ['out'] })
  return await SingleIsolate.create({
    ...{ function: 'fn', version: 1, instance: 0, manifest, nowMs, tapBytes },
    ...bundleOf(source),
    outputs: { out: { partitions, keyed: true } },
    seed: new Uint8Array(32),
    log: () => undefined,
  })
}

const value = new Uint8Array(100)
const frames = makeFrames(128, () => value)

/** CPU time of a record, in ns. */
async function measure(instance: SingleIsolate, ms: number): Promise<number> {
  let records = 0
  const cpu = process.cpuUsage()
  const endMs = performance.now() + ms
  for (let at = 0; performance.now() < endMs; at = (at + 4) % (frames.length - 4)) {
    const result = await instance.run(frames.slice(at, at + 4), nowMs)
    if (result.fatal !== undefined) throw result.fatal
    for (const { frame } of result.outputs()) giveBackMemory(frame)
    records += result.records
  }
  const { user, system } = process.cpuUsage(cpu)
  return ((user + system) * 1000) / records
}

const median = (values: readonly number[]): number => [...values].sort((a, b) => a - b)[values.length >> 1]!

const without = await start(0)
const tapped = await start(512 * 1024)
await measure(without, 500)
await measure(tapped, 500)
const costs: number[] = []
const ratios: number[] = []
for (let round = 0; round < rounds; round++) {
  const plain = await measure(without, roundMs)
  costs.push(plain)
  ratios.push((await measure(tapped, roundMs)) / plain)
}
const percent = ((median(ratios) - 1) * 100).toFixed(1)
console.log(`${median(costs).toFixed(0)} ns a record without a tap, ${percent} % more with one of 512 KiB`)
process.kill(process.pid, 'SIGKILL')
