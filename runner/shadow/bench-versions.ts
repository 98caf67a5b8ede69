/**
 * Two versions of a function for the benches of a shadow and of the gate: they count by key, and differ in the first and second record of a key, and of each thousand.
 * @module
 */
import { manifestSchema } from '../../sdk/manifest/manifest.ts'
import { makeFrames, partitions } from '../isolate/bench/frames.ts'
import { outputTable } from '../isolate/index.ts'
import { bundleOf, nowMs } from '../isolate/testing/harness.ts'

const istreams = { in: { grouping: 'groupBy' as const } }
const manifest = manifestSchema.parse({ name: 'fn', istreams, ostreams: ['out'] })
const outputs = { out: { partitions, keyed: true } }

export const table = outputTable(manifest, outputs)
export const frames = makeFrames(128, () => new Uint8Array(100))

/** What an isolate of a version is made of. */
export function isolateOf(version: 1 | 2) {
  const source = `export default {
  metadata: { name: 'fn', istreams: { in: 'groupBy' }, ostreams: ['out'] },
  processRecord(ctx, record) {
    const count = (ctx.getJson(record.key) ?? 0) + 1
    ctx.setJson(record.key, count)
    ctx.produceRecord('out', record.key, count % 1000 === ${version} ? 'seldom' : record.value)
  },
}`
  const seed = new Uint8Array(32)
  return {
    function: 'fn',
    instance: 0,
    manifest,
    nowMs,
    outputs,
    log: () => undefined,
    seed,
    version,
    ...bundleOf(source),
  }
}

export function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1]!
}
