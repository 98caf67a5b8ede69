import assert from 'node:assert/strict'
import { test } from 'node:test'
import { testKit } from 'concord/testkit'
import enrich from './enrich.ts'

type Kit = ReturnType<typeof testKit>
const asked = (kit: Kit) => kit.outputs('questions').map(({ key }) => key)
const sent = (kit: Kit) => kit.outputs('enriched').map((output) => output.json())

test('enrich asks once for an address, and sends its visits with their own times when the answer comes', () => {
  const kit = testKit(enrich)
  kit
    .send('visits', '1.1.1.1', '/a', { timeMs: 5 })
    .send('visits', '1.1.1.1', '/b')
    .send('visits', '2.2.2.2', '/c')
  assert.deepEqual([asked(kit), sent(kit)], [['1.1.1.1', '2.2.2.2'], []])
  kit.send('answers', '1.1.1.1', 'NZ').send('visits', '1.1.1.1', '/d')
  assert.deepEqual(
    sent(kit),
    ['/a', '/b', '/d'].map((page) => ({ page, country: 'NZ' })),
  )
  assert.equal(kit.outputs('enriched')[0]!.timeMs, 5)
  assert.equal(asked(kit).length, 2)
})

test('enrich asks again for what gets no answer, and goes on without it after the third time', () => {
  const kit = testKit(enrich)
  kit.send('visits', 'a', '/x').advance(10_000)
  assert.deepEqual([asked(kit), sent(kit)], [['a', 'a'], []])
  kit.advance(20_000)
  assert.deepEqual([asked(kit), sent(kit)], [['a', 'a', 'a'], [{ page: '/x' }]])
  assert.deepEqual(kit.send('visits', 'a', '/y').timers().length, 1, 'the next visit asks anew')
  kit.send('answers', 'a', 'FR').advance(60_000)
  assert.deepEqual(sent(kit).slice(1), [{ page: '/y', country: 'FR' }])
  assert.deepEqual([asked(kit).length, kit.timers()], [4, []])
})

test('enrich forgets an answer after an hour', () => {
  const kit = testKit(enrich)
  kit.send('visits', 'a', '/x').send('answers', 'a', 'FR').advance(3_600_001).send('visits', 'a', '/y')
  assert.equal(asked(kit).length, 2)
})

test('enrich lets no more than a thousand visits of an address wait', () => {
  const kit = testKit(enrich)
  for (let i = 0; i < 1001; i++) kit.send('visits', 'a', String(i))
  assert.deepEqual(sent(kit), [{ page: '1000' }])
})
