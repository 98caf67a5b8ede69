/**
 * A function and the one that it sends to are killed together under load: what is then unaccounted is an upper bound, and marked as
 * one. It stays in the account when the sender is removed, and is added to when one of its name comes (docs/design/0003-processes-and-store.md).
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
const batch = Array.from({ length: 500 }, (_, i) => ({ key: `k${i}`, value: 'v' }))

test('fn rm leaves what its function had sent, and lost, in the account of the next one', {
  timeout: 200_000,
}, async (t) => {
  const platform = await Platform.start(t)
  await platform.deploy('passes', sourceOf('passes', 'lines', 'middle'))
  await platform.deploy('counts', sourceOf('counts', 'middle', 'ends'))
  let stopped = false
  const load = (async () => {
    while (!stopped) await platform.client.produce('lines', batch)
  })()
  const killed: number[] = []
  for (const name of ['counts', 'passes']) {
    const { instances } = await platform.until(name, ({ recordsIn }) => recordsIn > 5_000)
    killed.push(instances[0]!.pid!)
  }
  for (const pid of killed) process.kill(pid, 'SIGKILL')
  const isBack = ({ instances: [one] }: FunctionDetail) =>
    one?.pid !== undefined && !killed.includes(one.pid) && one.recordsIn > 500
  for (const name of ['passes', 'counts']) await platform.until(name, isBack)
  stopped = true
  await load
  await platform.until('passes', ({ ledger: [row] }) => row!.inFlight === 0)
  const { ledger } = await platform.until(
    'counts',
    ({ ledger: [row] }) => row!.inFlight === 0 && row!.unaccountedIsAtMost === true,
  )
  const { sent, processed, unaccounted } = ledger[0]!
  t.diagnostic(JSON.stringify(ledger))
  assert.equal(sent, processed + unaccounted)
  const shown = await platform.cli(['fn', 'inspect', 'counts'])
  assert.match(shown.stdout, new RegExp(`middle +≤ ${sent} +${processed} +0 +0 +0 +≤ ${unaccounted}`))

  await platform.json(['fn', 'rm', 'passes'])
  const kept = await platform.until('counts', ({ ledger: [row] }) => row!.sent === sent)
  assert.deepEqual(kept.ledger, ledger)

  await platform.deploy('passes', sourceOf('passes', 'lines', 'middle'))
  await platform.client.produce('lines', batch)
  const more = await platform.until(
    'counts',
    ({ ledger: [row] }) => row!.processed === processed + batch.length,
  )
  assert.equal(more.ledger[0]!.unaccounted, unaccounted)
})
