/** What expired entries cost: the memory that they hold, and the time of a batch. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { InputFrame, SingleIsolate } from '../index.ts'
import { fn, frame, nowMs, record, start } from '../testing/harness.ts'

/** Sets as many new keys as a record says, for a second; `timer` instead sets a timer for now. */
const source = fn(
  `
  const what = record.text()
  if (what === 'timer') return ctx.setTimer('t' + last++, ctx.nowMs())
  for (let i = Number(what); i > 0; i--) ctx.setState('key ' + last++, 'value', { ttlMs: 1000 })`,
  'processTimer() {},',
).replace('export default', 'let last = 0\nexport default')

const limits = { stateMib: 256, callbackMs: 60_000 }
const fill = (keys: number, partition: number): InputFrame => frame([record(String(keys))], partition)

/** Runs one record, which may first need more memory. */
async function done(instance: SingleIsolate, one: InputFrame, atMs: number): Promise<void> {
  for (;;) {
    const { records, fatal } = await instance.run([one], atMs)
    assert.equal(fatal, undefined)
    if (records > 0) return
  }
}

test('Housekeeping removes expired entries as fast as new ones come, however many a batch makes (HK2)', async () => {
  const { instance } = await start(source, { manifest: { limits } })
  const perBatch = 2000
  const apartMs = 100
  const batches = 60
  let most = 0
  for (let batch = 0; batch < batches; batch++) {
    await done(instance, fill(perBatch, 0), nowMs + batch * apartMs)
    most = Math.max(most, instance.stats().stateEntries)
  }
  const alive = (1000 / apartMs) * perBatch
  assert.ok(most < 3 * alive, `${most} at once, of which ${alive} live, of ${batches * perBatch} in all`)
  await instance.destroy()
})

test('Housekeeping spends no more on many partitions of which something has expired than on one (HK2)', async () => {
  const { instance } = await start(source, { manifest: { limits } })
  const partitions = 8
  const perPartition = 4000
  for (let partition = 0; partition < partitions; partition++)
    await done(instance, fill(perPartition, partition), nowMs)
  const expiredMs = nowMs + 2000
  /** @returns How many entries a call has removed. */
  const removedBy = async (frames: readonly InputFrame[], atMs: number): Promise<number> => {
    const before = instance.stats().stateEntries
    assert.equal((await instance.run(frames, atMs)).fatal, undefined)
    return before - instance.stats().stateEntries
  }
  // A chain has about half an entry: 256 chains of one partition for a few records, 8192 if nothing else waits.
  const ofRecord = await removedBy([fill(0, 3)], expiredMs)
  assert.ok(ofRecord > 0 && ofRecord < 400, `${ofRecord} entries in a batch of one record`)
  const ofTimer = await removedBy([frame([record('timer')], 3)], expiredMs)
  const alsoOfTimer = await removedBy([], expiredMs)
  for (const removed of [ofTimer, alsoOfTimer])
    assert.ok(removed > 0 && removed < 400, `${removed} entries in a batch of one timer`)
  const idle = await removedBy([], expiredMs)
  assert.ok(idle > 2000 && idle < 6000, `${idle} entries in a call for nothing else`)
  for (let calls = 0; instance.stats().stateEntries > 0; calls++) {
    assert.ok(calls < 40, 'each partition has its turn')
    await removedBy([], expiredMs + calls * 1000) // a pass begins a second after the last one
  }
  await instance.destroy()
})
