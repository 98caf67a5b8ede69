import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { Platform } from './platform.ts'

const records = 600_000

test('a runner with little memory takes input as fast as it comes, and is not ended for its bound', {
  timeout: 400_000,
}, async (t) => {
  const platform = await Platform.start(t)
  const folder = `${platform.home}/fast`
  mkdirSync(folder)
  writeFileSync(
    `${folder}/index.ts`,
    `import { defineFunction, groupBy } from 'concord'
export default defineFunction({
  metadata: { name: 'fast', istreams: { 'fast-in': groupBy }, ostreams: ['fast-out'] },
  processRecord(ctx, record) {
    ctx.setState(record.keyText().slice(-4), '1')
    ctx.produceRecord('fast-out', record.key, record.text().toUpperCase())
  },
})
`,
  )
  writeFileSync(`${folder}/concord.jsonc`, '{ "resources": { "memMib": 192 } }')
  const deployed = await platform.cli(['fn', 'deploy', folder])
  assert.equal(deployed.code, 0, deployed.stderr)
  const lines = Array.from(
    { length: records },
    (_, i) =>
      `${JSON.stringify({ key: `user${i}`, value: `/some/path/${i % 977}/index.html ${i % 300}` })}\n`,
  )
  const file = `${platform.home}/records.ndjson`
  writeFileSync(file, lines.join(''))
  const produced = await platform.cli(['produce', 'fast-in', '--ndjson', '--file', file])
  assert.equal(produced.code, 0, produced.stderr)
  const detail = await platform.until('fast', (d) => d.ledger[0]!.inFlight === 0)
  const { sent, processed, unaccounted } = detail.ledger[0]!
  assert.deepEqual([sent, processed, unaccounted], [records, records, 0])
  assert.equal(detail.instances[0]!.restarts, 0)
})
