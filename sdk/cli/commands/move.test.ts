import assert from 'node:assert/strict'
import { test } from 'node:test'
import { assertFails, concord, gatewayOf, lastJson } from '../test-cli.ts'

test('fn move says which partitions will be where, and waits until they are there', async (t) => {
  let looks = 0
  const homes = [
    { partition: 3, instance: 'score-1' },
    { partition: 7, instance: 'score-1' },
  ]
  const { env, received } = await gatewayOf(t, ({ method }) => {
    if (method === 'PATCH') return { status: 200, json: { homes, changed: [3, 7] } }
    looks += 1
    const partitions = looks < 2 ? [1] : looks < 3 ? [1, 3] : [1, 3, 7]
    return {
      status: 200,
      json: { instances: [{ id: 'score-0' }, { id: 'score-1', state: 'running', partitions }] },
    }
  })
  const { stdout } = await concord(['fn', 'move', 'score', '3', '7', '--to', 'score-1'], { env })
  assert.equal(stdout, 'score-1 has partitions 3, 7 of score.\n')
  assert.equal(looks, 3)
  const { method, path, body } = received[0]!
  assert.equal(`${method} ${path}`, 'PATCH /v1/functions/score/partitions')
  assert.deepEqual(JSON.parse(String(body)), { partitions: [3, 7], to: 'score-1' })
  const unwaited = ['fn', 'move', 'score', '3', '--to', 'score-1', '--no-wait', '--json']
  assert.deepEqual(lastJson(await concord(unwaited, { env })), { name: 'score', homes, changed: [3, 7] })
  assertFails(
    await concord(['fn', 'move', 'score', '5', '--to', 'score-1', '--timeout', '0.2'], { env }),
    7,
    /score-1 does not have partition 5 of score after 0.2 s: it is running; 'concord fn inspect score'/,
  )
})

test('fn move --back undoes earlier moves of some or all partitions, and refuses contradicting options', async (t) => {
  let changed = [3]
  const { env, received } = await gatewayOf(t, () => ({ status: 200, json: { homes: [], changed } }))
  const one = await concord(['fn', 'move', 'score', '3', '--back'], { env })
  assert.equal(one.stdout, 'Partition 3 of score moves back to the instance given by its number.\n')
  const all = await concord(['fn', 'move', 'score', '--back'], { env })
  assert.equal(all.stdout, 'All partitions of score move back to the instances given by their numbers.\n')
  changed = []
  const again = await concord(['fn', 'move', 'score', '3', '--back'], { env })
  assert.equal(again.stdout, 'Partition 3 of score is on the instance given by its number.\n')
  assert.deepEqual(
    received.map(({ body }) => JSON.parse(String(body)) as unknown),
    [{ partitions: [3], back: true }, { back: true }, { partitions: [3], back: true }],
  )
  for (const args of [['3'], ['--to', 'score-1'], ['3', '--to', 'score-1', '--back'], []])
    assertFails(await concord(['fn', 'move', 'score', ...args], { env }), 2, /Say which partitions go where/)
  assertFails(await concord(['fn', 'move', 'score', 'three', '--to', 'score-1'], { env }), 2, /three/)
})
