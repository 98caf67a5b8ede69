/**
 * A function and the one that it sends to are killed at the same moment, between two heartbeats: nobody is left who knows
 * what was under way between them, and yet no more is missing than is called unaccounted (I7; docs/design/0002-channels.md).
 * @module
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { subjects } from '../../infra/bus/index.ts'
import type { FunctionDetail } from '../../sdk/api.ts'
import { parseFrame } from '../../sdk/frame.ts'
import { connectLoad, namespace } from './load/connection.ts'
import { Platform } from './platform.ts'

const records = 500
/** The second one is still at the first of them when both are killed. */
const ponderMs = 50

const sourceOf = (
  name: string,
  from: string,
  to: string,
  body: string,
): string => `import { defineFunction, groupBy } from 'concord'
export default defineFunction({
  metadata: { name: '${name}', istreams: { '${from}': groupBy }, ostreams: ['${to}'] },
  processRecord(ctx, record) { ${body}; ctx.produceRecord('${to}', record.key, record.value) },
})
`
const ponders = `const endMs = Date.now() + ${ponderMs}; while (Date.now() < endMs);`

test('two functions in a row killed at once: what is missing is at most what is unaccounted (I7)', {
  timeout: 300_000,
}, async (t) => {
  const platform = await Platform.start(t)
  await platform.deploy('passes', sourceOf('passes', 'lines', 'middle', ''))
  await platform.deploy('ponders', sourceOf('ponders', 'middle', 'ends', ponders))
  const runs = ({ state, instances: [one] }: FunctionDetail) => state === 'running' && one?.pid !== undefined
  const pids = await Promise.all(
    ['passes', 'ponders'].map(async (name) => (await platform.until(name, runs)).instances[0]!.pid!),
  )
  const wire = await connectLoad(platform.home, platform.natsUrl, 'witness')
  t.after(() => wire.close())
  const seen = { middle: 0, ends: 0 }
  const killed = Promise.withResolvers<void>()
  const count = (stream: 'middle' | 'ends', bytes: Uint8Array): void => {
    seen[stream] += parseFrame(bytes).count
    if (seen.middle < records) return
    if (stream === 'middle') for (const pid of pids.splice(0)) process.kill(pid, 'SIGKILL')
    killed.resolve()
  }
  for (const stream of ['middle', 'ends'] as const)
    wire.subscribe(subjects.partitionSubject(namespace, stream, '*'), (bytes) => count(stream, bytes))
  await wire.flush()
  const before = [...pids]
  const lines = Array.from({ length: records }, (_, i) => JSON.stringify({ key: `k${i}`, value: String(i) }))
  await platform.json(['produce', 'lines', '--ndjson'], lines.join('\n'))
  await killed.promise

  const after = async (name: string) =>
    await platform.until(
      name,
      (d) => runs(d) && !before.includes(d.instances[0]!.pid!) && d.ledger[0]!.inFlight === 0,
    )
  const ledgers = [await after('passes'), await after('ponders')].map(({ ledger: [row] }) => row!)
  const unaccounted = ledgers.reduce((sum, row) => sum + row.unaccounted, 0)
  const missing = records - seen.ends
  t.diagnostic(`${records} records, ${missing} missing, ${unaccounted} unaccounted`)
  assert.ok(missing > 0, 'the second one had hardly begun')
  assert.ok(
    missing <= unaccounted,
    `${missing} missing, ${unaccounted} unaccounted: ${JSON.stringify(ledgers)}`,
  )
  assert.ok(ledgers[1]!.unaccounted <= records * 1.25 + 16, 'a quarter more than was out, and 16')
  for (const { sent, processed, dropped, inFlight, unaccounted: gone } of ledgers)
    assert.equal(sent, processed + inFlight + gone, JSON.stringify(dropped))
})
