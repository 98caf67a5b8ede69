/**
 * A function is killed under load while the one that it sends to lives. What it had sent in its last second no report of its own
 * tells; its receiver does. So the columns of the ledger add up to what that one has counted (I7; docs/design/0002-channels.md).
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { FunctionDetail } from '../../sdk/api/index.ts'
import { Platform } from './platform.ts'

const sourceOf = (
  name: string,
  from: string,
  to: string,
): string => `import { defineFunction, groupBy } from 'concord'
export default defineFunction({
  metadata: { name: '${name}', istreams: { '${from}': groupBy }, ostreams: ['${to}'] },
  processRecord(ctx, record) { ctx.produceRecord('${to}', record.key, record.value) },
})
`
const kills = 2
const batch = Array.from({ length: 500 }, (_, i) => ({ key: `k${i}`, value: 'v' }))

test(`a producer killed ${kills} times under load: the ledger says what its receiver has counted (I7)`, {
  timeout: 300_000,
}, async (t) => {
  const platform = await Platform.start(t)
  await platform.deploy('passes', sourceOf('passes', 'lines', 'middle'))
  await platform.deploy('counts', sourceOf('counts', 'middle', 'ends'))
  let sent = 0
  let stopped = false
  const load = (async () => {
    for (; !stopped; sent += batch.length) await platform.client.produce('lines', batch)
  })()
  let before: number | undefined
  const works = ({ instances: [one] }: FunctionDetail) =>
    one?.pid !== undefined && one.pid !== before && one.recordsIn > 5_000
  for (let kill = 0; kill < kills; kill++) {
    const { instances } = await platform.until('passes', works)
    before = instances[0]!.pid!
    process.kill(before, 'SIGKILL')
  }
  await platform.until('passes', works)
  stopped = true
  await load

  const atRest = ({ ledger: [row] }: FunctionDetail): boolean => row!.inFlight === 0
  const first = await platform.until('passes', (detail) => atRest(detail) && detail.ledger[0]!.sent === sent)
  const last = await platform.until('counts', (detail) => {
    const [row] = detail.ledger
    return atRest(detail) && row!.sent > sent / 2 && row!.processed === detail.recordsIn
  })
  const [hop, row] = [first.ledger[0]!, last.ledger[0]!]
  t.diagnostic(`${sent} records: ${JSON.stringify(hop)}, then ${JSON.stringify(row)}`)
  assert.deepEqual([row.sent, row.unaccounted], [last.recordsIn, 0], 'its receiver lives')
  assert.equal(hop.sent, hop.processed + hop.unaccounted)
  assert.ok(sent - row.sent <= hop.unaccounted, `${sent - row.sent} missing: ${JSON.stringify(hop)}`)
})
