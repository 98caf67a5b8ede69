/**
 * A gateway ends in order, as at its replacement, while it has records in hand for a function that is paused. They are nobody's for
 * some seconds, and are neither forgotten nor given to somebody else.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { pidOf } from './load/faults.ts'
import { Platform } from './platform.ts'

const queues = `import { defineFunction, shuffle } from 'concord'
export default defineFunction({
  metadata: { name: 'queues', istreams: { lines: { grouping: shuffle, backPressure: 'enqueue' } } },
  processRecord() {},
})
`
const lines = (count: number): string => Array.from({ length: count }, (_, i) => `${i}\n`).join('')

/** Ends the gateway as its replacement does, and waits for the next one. */
async function replaceGateway(platform: Platform): Promise<void> {
  const before = pidOf(platform, 'gateway')
  process.kill(before, 'SIGTERM')
  await platform.untilUp(() => pidOf(platform, 'gateway') !== before)
}

test('fn rm is refused while what an ended gateway left on disk is nobody’s; dropped, the next function of that name gets none of it', {
  timeout: 300_000,
}, async (t) => {
  const platform = await Platform.start(t)
  const onDisk = async (records: number) => {
    await platform.json(['fn', 'scale', 'queues', '0'])
    await platform.until('queues', ({ state }) => state === 'stopped')
    await platform.json(['produce', 'lines'], lines(records))
    await platform.until('queues', ({ ledger: [row] }) => row!.spilled === row!.inFlight && row!.inFlight > 0)
  }
  await platform.deploy('queues', queues)
  await onDisk(5000)
  await replaceGateway(platform)
  const refused = await platform.cli(['fn', 'rm', 'queues'])
  assert.equal(refused.code, 5, refused.stdout)
  assert.match(refused.stderr, /records are in flight \(\d+ chunks on disk.*--drop/)

  await platform.json(['fn', 'rm', 'queues', '--drop'])
  await platform.deploy('queues', queues)
  await platform.json(['produce', 'lines'], lines(10))
  await platform.until('queues', ({ ledger: [row] }) => row!.processed >= 10)
  await onDisk(300) // beside the 5,000, if those are there still: what comes to the new one is behind them
  await replaceGateway(platform)
  await platform.json(['fn', 'scale', 'queues', '1'])
  const { ledger } = await platform.until('queues', ({ ledger: [row] }) => row!.processed >= 310)
  assert.deepEqual([ledger[0]!.sent, ledger[0]!.processed], [310, 310])
})
