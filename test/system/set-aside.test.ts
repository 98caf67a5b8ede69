import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import type { DeadLetterSummary, FunctionDetail } from '../../sdk/api/index.ts'
import { Platform, Reader } from './platform.ts'

const source = (onError: object): string => `import { defineFunction, groupBy } from 'concord'
export default defineFunction({
  metadata: { name: 'waits', istreams: { 'waits-in': groupBy }, ostreams: ['waits-out'], onError: ${JSON.stringify(onError)} },
  processRecord(ctx, record) {
    ctx.produceRecord('waits-out', record.key, record.text())
    if (record.text() === 'poison') throw new Error('not yet')
    const calls = (globalThis.calls ??= {})
    calls[record.text()] = (calls[record.text()] ?? 0) + 1
    if (record.text() === 'second' && calls.second === 1) throw new Error('once more')
  },
})
`
const lines = (...pairs: [key: string, value: string][]): string =>
  pairs.map(([key, value]) => JSON.stringify({ key, value })).join('\n')
const settled = (d: FunctionDetail): boolean => d.ledger[0]!.inFlight === 0 && d.state === 'running'

test('records that are tried again after a wait hold nobody up but those of their key, and the account is exact over an orderly end and a kill', {
  timeout: 400_000,
}, async (t) => {
  const platform = await Platform.start(t)
  // biome-ignore lint/suspicious/noThenProperty: so the policy is spelled -- it is data
  const onError = { retry: 3, then: 'deadLetter', waitMs: 1000, keepOrder: true }
  await platform.deploy('waits', source(onError))
  const out = await Reader.start(t, platform, ['waits-out', '--hold'])
  const produce = (...pairs: [string, string][]) =>
    platform.json(['produce', 'waits-in', '--ndjson'], lines(...pairs))
  const values = (): unknown[] => out.records.map(({ value }) => value)

  await produce(['a', 'second'], ['a', 'behind'], ['b', 'free'])
  await out.read(1)
  assert.equal(values()[0], 'free', 'others go on')
  await out.read(3)
  assert.deepEqual(values(), ['free', 'second', 'behind'], 'the order of a key is kept')
  const first = await platform.until('waits', settled)
  assert.equal(first.ledger[0]!.processed, 3)
  assert.equal(first.errors, 0, 'nothing failed for good')
  const { recordsIn, retries } = first.instances[0]!
  assert.deepEqual([recordsIn, retries], [3, 1], 'a record is one, however often it is tried')
  const inspected = (await platform.cli(['fn', 'inspect', 'waits'])).stdout
  assert.match(inspected, / RETRIES .*\n.*waits-0 /)
  assert.match((await platform.cli(['fn', 'tap', 'waits'])).stdout, /#\d+, attempt 2 +a +second/)
  const file = join(platform.home, 'waits.tap.json')
  await platform.json(['fn', 'tap', 'waits', '-o', file])
  const replayed = await platform.json<{ chapters: object[] }>(['fn', 'replay', file])
  assert.partialDeepStrictEqual(replayed.chapters, [{ records: 3, retries: 1, outputs: 3 }])

  // An orderly end: a last attempt, then the policy.
  await platform.deploy('waits', source({ ...onError, waitMs: 600_000, waitMaxMs: 600_000 }))
  await produce(['a', 'poison'], ['a', 'behind'], ['b', 'free'])
  await out.read(4)
  const waiting = await platform.until(
    'waits',
    (d) => d.instances[0]?.setAside === 2 && d.ledger[0]!.inFlight === 2,
  )
  assert.match((await platform.cli(['fn', 'inspect', 'waits'])).stdout, /waits-0: 2 records wait for a retry/)
  assert.equal(waiting.ledger[0]!.processed, 4)
  await platform.json(['kill', '-id', 'waits-0', '--restart'])
  await out.read(5)
  assert.deepEqual(values().slice(3), ['free', 'behind'])
  const after = await platform.until('waits', settled)
  const { sent, processed, dropped, unaccounted } = after.ledger[0]!
  assert.deepEqual(
    { sent, processed, dropped, unaccounted },
    { sent: 6, processed: 5, dropped: { deadLettered: 1 }, unaccounted: 0 },
  )
  const letters = await platform.json<DeadLetterSummary[]>(['dlq', 'ls', 'waits'])
  assert.deepEqual(
    letters.map(({ attempts, error }) => [attempts, error.message]),
    [[2, 'not yet']],
  )

  // A kill takes along what waits, and it is counted.
  await produce(['a', 'poison'], ['a', 'behind'], ['b', 'free'])
  await out.read(6)
  const again = await platform.until(
    'waits',
    (d) => d.instances[0]?.setAside === 2 && d.ledger[0]!.inFlight === 2,
  )
  process.kill(again.instances[0]!.pid!, 'SIGKILL')
  const killed = await platform.until(
    'waits',
    (d) => settled(d) && d.instances[0]!.pid !== again.instances[0]!.pid,
  )
  assert.deepEqual(
    { ...killed.ledger[0], stateLost: 0 },
    {
      ...{ stream: 'waits-in', sent: 9, processed: 6, dropped: { deadLettered: 1 } },
      ...{ inFlight: 0, lagMs: 0, unaccounted: 2, stateLost: 0 },
    },
  )
})
