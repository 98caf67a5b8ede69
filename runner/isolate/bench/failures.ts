/**
 * Bench of failures: what one record in a hundred that throws costs, as CPU time of the whole process against the same
 * function without, in turns within one run. What it does not measure: NATS and the storing of dead letters.
 *
 *   node --no-node-snapshot runner/isolate/bench/failures.ts [rounds]
 * @module
 */

import { type ManifestInput, manifestSchema } from '../../../sdk/manifest/manifest.ts'
import { recordBytes, recordHeaderBytes } from '../../../sdk/wire/frame.ts'
import { type InputFrame, SingleIsolate } from '../index.ts'
import { bundleOf, nowMs } from '../testing/harness.ts'
import { makeFrames, partitions } from './frames.ts'

const rounds = Number(process.argv[2] ?? 40)
const roundMs = 50
const poisonEvery = 100

const source = `export default {
  metadata: { name: 'fn', istreams: { in: 'groupBy' }, ostreams: ['out'] },
  processRecord(ctx, record) {
    if (record.value[0] === 1) check(record)
    const count = ctx.getState(record.key) ?? new Uint8Array(4)
    if (++count[0] === 0 && ++count[1] === 0) ++count[2]
    ctx.setState(record.key, count)
    ctx.produceRecord('out', record.key, record.value)
  },
}
function check(record) { validate(record) }
function validate(record) { throw new RangeError('this value is out of range: ' + record.value[1]) }
`

async function start(onError: ManifestInput['onError']): Promise<SingleIsolate> {
  const istreams = { in: { grouping: 'groupBy' as const } }
  const manifest = manifestSchema.parse({ name: 'fn', istreams, ostreams: ['out'], onError })
  return await SingleIsolate.create({
    ...{ function: 'fn', version: 1, instance: 0, manifest, nowMs },
    ...bundleOf(source),
    outputs: { out: { partitions, keyed: true } },
    seed: new Uint8Array(32),
    log: () => undefined,
  })
}

/** CPU time of a record, in ns; the error of each dead letter is read, as its letter needs it. */
async function measure(instance: SingleIsolate, frames: readonly InputFrame[], ms: number): Promise<number> {
  let records = 0
  const cpu = process.cpuUsage()
  const endMs = performance.now() + ms
  for (let at = 0; performance.now() < endMs; at = (at + 4) % (frames.length - 4)) {
    const result = await instance.run(frames.slice(at, at + 4), Date.now())
    if (result.fatal !== undefined) throw result.fatal
    records += result.records
    for (const failure of result.failures) if (failure.action === 'deadLetter') failure.error.message.at(0)
  }
  const { user, system } = process.cpuUsage(cpu)
  return ((user + system) * 1000) / records
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1]!
}

/** The same memory with poison and without: two sets of frames lie differently in the caches, which is worth some per cent. */
const frames = makeFrames(128, () => new Uint8Array(100))
const heads = frames
  .flatMap(({ bytes, header }) => headsOf(bytes, header))
  .filter((_, n) => n % poisonEvery === 0)

/** Where the values of a frame begin. */
function headsOf(
  bytes: Uint8Array,
  { headerBytes, count }: InputFrame['header'],
): { bytes: Uint8Array; at: number }[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset)
  let next = headerBytes
  return Array.from({ length: count }, () => {
    const keyBytes = view.getUint16(next + 4, true)
    const at = next + recordHeaderBytes + keyBytes
    next += recordBytes(keyBytes, view.getUint32(next, true))
    return { bytes, at }
  })
}

function poison(value: 0 | 1): void {
  for (const { bytes, at } of heads) bytes[at] = value
}

// biome-ignore lint/suspicious/noThenProperty: a policy, never a thenable -- API
for (const onError of ['skip', 'deadLetter', { retry: 2, then: 'skip', waitMs: 0 }] as const) {
  const instance = await start(onError)
  await measure(instance, frames, 500)
  poison(1)
  await measure(instance, frames, 500)
  const ratios: number[] = []
  const costs: number[] = []
  for (let round = 0; round < rounds; round++) {
    const cost = [0, 0]
    for (const poisoned of round % 2 === 0 ? ([0, 1] as const) : ([1, 0] as const)) {
      poison(poisoned)
      cost[poisoned] = await measure(instance, frames, roundMs)
    }
    ratios.push(cost[1]! / cost[0]!)
    costs.push(cost[0]!)
  }
  const name = typeof onError === 'string' ? onError : `retry ${onError.retry}, then ${onError.then}`
  const percent = ((median(ratios) - 1) * 100).toFixed(1)
  const each = ((median(ratios) - 1) * median(costs) * poisonEvery) / 1000
  console.log(
    `${name.padEnd(20)} ${median(costs).toFixed(0)} ns a record, ${percent} % more with 1 % poison: ${each.toFixed(1)} µs each`,
  )
  instance.kill()
}
process.kill(process.pid, 'SIGKILL')
