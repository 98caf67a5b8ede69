/**
 * Each record of hostile-records.ts against a whole platform: its verdict names the limit, the amount and the record, only it is
 * lost, and the function goes on. How soon: the benchmark `limits`.
 * @module
 */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { sumOfCounts } from '../../infra/control/counts.ts'
import type { FunctionDetail } from '../../sdk/api/index.ts'
import { hostileFunction, hostileRecords, limitMs } from '../bench/load/hostile-records.ts'
import { Platform } from './platform.ts'

const name = 'offender'
const tooLong = `took longer than its limit of ${limitMs} ms`
const endedAt = `${tooLong}; it was ended at offender\\.ts:\\d+:\\d+$`
/** These take memory as well, and may meet that limit first. */
const either = `(${tooLong}|passed the limit of 64 MiB of heap|.* beyond the 64 of heap that it may have)`

/** What is said of each after naming it. */
const verdicts: Readonly<Record<string, string>> = {
  loop: endedAt,
  regexp: endedAt,
  microtasks: endedAt,
  awaited: endedAt,
  slow: `.*its promise has not settled in ${limitMs} ms$`,
  getter: endedAt,
  proxy: endedAt,
  fill: either,
  digits: either,
  arrays: either,
  formatters: either,
  abort: either,
}

test('every hostile record has a verdict that names limit and record, costs itself alone, and the function goes on', {
  timeout: 400_000,
}, async (t) => {
  assert.deepEqual(Object.keys(verdicts), Object.keys(hostileRecords))
  const platform = await Platform.start(t)
  const { client } = platform
  const file = join(platform.home, 'concord.jsonc')
  const limits = { callbackMs: limitMs, asyncMs: limitMs }
  writeFileSync(file, JSON.stringify({ main: 'offender.ts', limits, restarts: 1000 }))
  await platform.deploy(name, hostileFunction(name))
  for (const [sent, [key, verdict]] of Object.entries(verdicts).entries()) {
    const sinceMs = Date.now()
    await client.produce(`${name}-in`, [{ key, value: key }])
    const isOver = ({ state, ledger: [row], instances: [one] }: FunctionDetail): boolean =>
      state === 'running' &&
      row!.sent === sent + 1 &&
      row!.inFlight === 0 &&
      one?.lastExit !== undefined &&
      one.lastExit.atMs >= sinceMs
    const { ledger, instances } = await platform.until(name, isOver)
    const { processed, dropped, unaccounted } = ledger[0]!
    assert.deepEqual([processed, sumOfCounts(dropped) + unaccounted], [0, sent + 1], key)
    const { reason, message } = instances[0]!.lastExit!
    const [letter] = (await client.deadLetters({ function: name, key, sinceMs })).letters
    if (letter === undefined) {
      // What takes memory may do so faster than it can be stopped: then the bound of its process, or the kernel's, is met first, or V8 aborts.
      assert.equal(verdict, either, `${key}: ${reason}, ${message}`)
      assert.match(reason, /^(memory|crashed|killed)$/, message)
      continue
    }
    const { sequence, producer, partition, error, attempts } = letter
    const record = `the record ${sequence} of producer ${producer} in '${name}-in'/${partition} \\(key '${key}'\\)`
    assert.match(error.message, new RegExp(`${record} ?(of '${name}' v1: )?${verdict}`), key)
    assert.equal(error.name, error.message.includes('heap') ? 'ERR_MEMORY' : 'ERR_DEADLINE')
    assert.equal(attempts, 1)
    // Put aside, what takes memory may meet the kernel's bound before its process has ended by itself.
    if (verdict !== either || reason !== 'memory')
      assert.deepEqual([reason, message], ['recordBroke', error.message])
  }
  await client.produce(`${name}-in`, [{ key: 'k', value: 'harmless' }])
  await platform.until(name, ({ ledger }) => ledger[0]!.processed === 1)
})
