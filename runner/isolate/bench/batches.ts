/**
 * Bench: records a second through `SingleIsolate.run` alone, one keyed stateful function, 100-byte values in 64 KiB frames.
 * What it does not measure: NATS, more than one instance, keys that do not fit the caches (100,000 do).
 *
 *   node --no-node-snapshot runner/isolate/bench/batches.ts [seconds]
 * @module
 */
import { cpus } from 'node:os'
import { giveBackMemory } from '../../../infra/bus/index.ts'
import { manifestSchema } from '../../../sdk/manifest/manifest.ts'
import { type InputFrame, SingleIsolate } from '../index.ts'
import { bundleOf, nowMs } from '../testing/harness.ts'
import { makeFrames, partitions, recordsPerFrame } from './frames.ts'

const seconds = Number(process.argv[2] ?? 2)
const only = process.argv[3]
const json = JSON.stringify({
  address: '192.168.100.200',
  path: '/a/b/c',
  status: 200,
  bytes: 12345,
  agent: 'Mozilla',
}).padEnd(100)

const body = (callback: string): string => `export default {
  metadata: { name: 'fn', istreams: { in: 'groupBy' }, ostreams: ['out'] },
  processRecord(ctx, record) { ${callback} },
}`

const cases: Record<string, string> = {
  nothing: '',
  'pass on': `ctx.produceRecord('out', record.key, record.value)`,
  'get and set state': `
    const count = ctx.getState(record.key) ?? new Uint8Array(4)
    if (++count[0] === 0) count[1]++
    ctx.setState(record.key, count)`,
  'keyed count': `
    const count = ctx.getState(record.key) ?? new Uint8Array(4)
    if (++count[0] === 0 && ++count[1] === 0) ++count[2]
    ctx.setState(record.key, count)
    ctx.produceRecord('out', record.key, record.value)`,
  text: `if (record.text().length < 0) throw 1`,
  json: `if (record.json().status !== 200) throw 1`,
  'json in, string out': `
    const click = record.json()
    ctx.produceRecord('out', record.key, JSON.stringify({ address: click.address, status: click.status }))`,
}

async function measure(name: string, callback: string, frames: readonly InputFrame[]): Promise<void> {
  const manifest = manifestSchema.parse({
    name: 'fn',
    istreams: { in: { grouping: 'groupBy' } },
    ostreams: ['out'],
  })
  const instance = await SingleIsolate.create({
    function: 'fn',
    version: 1,
    instance: 0,
    manifest,
    ...bundleOf(body(callback)),
    outputs: { out: { partitions, keyed: true } },
    seed: new Uint8Array(32),
    nowMs,
    log: (level, message) => console.error(level, message),
  })
  const framesPerBatch = 4
  let records = 0
  let at = 0
  const run = async (ms: number): Promise<void> => {
    const endMs = performance.now() + ms
    while (performance.now() < endMs) {
      const batch = frames.slice(at, at + framesPerBatch)
      at = (at + framesPerBatch) % (frames.length - framesPerBatch)
      const result = await instance.run(batch, nowMs)
      if (result.fatal) throw result.fatal
      for (const { frame } of result.outputs()) giveBackMemory(frame)
      records += result.records
    }
  }
  await run(500)
  records = 0
  const cpu = process.cpuUsage()
  const isolateCpu = instance.stats().cpuSeconds
  const startMs = performance.now()
  await run(seconds * 1000)
  const took = (performance.now() - startMs) / 1000
  const all = process.cpuUsage(cpu)
  const inside = instance.stats().cpuSeconds - isolateCpu
  const total = (all.user + all.system) / 1e6
  const ns = (s: number): string => ((s * 1e9) / records).toFixed(0).padStart(6)
  console.log(
    `${name.padEnd(22)} ${Math.round(records / took)
      .toLocaleString('en')
      .padStart(10)} records/s  ${ns(took)} ns each; ` +
      `cpu ${ns(total)} ns: isolate ${ns(inside)}, host ${ns(total - inside)}`,
  )
  await instance.destroy()
}

console.log(
  `${cpus()[0]?.model}, ${cpus().length} cores, Node ${process.version}; ${recordsPerFrame} records a frame, 4 frames a batch`,
)
const value = new TextEncoder().encode(json)
const frames = makeFrames(256, () => value)
for (const [name, callback] of Object.entries(cases))
  if (only === undefined || name.includes(only)) await measure(name, callback, frames)
process.kill(process.pid, 'SIGKILL')
