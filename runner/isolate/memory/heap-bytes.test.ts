import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isolateMemory } from '../index.ts'
import { fn, frameOfTexts, nowMs, start } from '../testing/harness.ts'

const mib = 2 ** 20

test('the reported heap of an instance excludes texts of batches that V8 has yet to collect', async (t) => {
  const { instance } = await start(
    fn("if (record.text() === 'keep') (globalThis.kept ??= []).push(new Uint8Array(20 * 2 ** 20))"),
    {
      manifest: { limits: { heapMib: 64 } },
    },
  )
  t.after(() => instance.kill())
  const large = frameOfTexts(...Array.from({ length: 10 }, () => 'x'.repeat(50_000)))
  let [most, physical] = [0, 0]
  for (let i = 0; i < 150; i++) {
    const { records } = await instance.run([large], nowMs)
    assert.equal(records, 10)
    most = Math.max(most, instance.stats().heapBytes)
    physical = Math.max(physical, isolateMemory().heapBytes)
  }
  assert.ok(physical > 30 * mib, `texts are held: ${physical / mib} MiB at most`)
  assert.ok(most < 16 * mib, `its heap is small: ${most / mib} MiB at most`)
  await instance.run([frameOfTexts('keep')], nowMs)
  for (let i = 0; i < 5; i++) await instance.run([large], nowMs)
  const { heapBytes } = instance.stats()
  assert.ok(
    heapBytes > 20 * mib && heapBytes < 36 * mib,
    `what its code holds counts: ${heapBytes / mib} MiB`,
  )
})
