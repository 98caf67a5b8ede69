import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { ManualClock } from '../clock.ts'
import { checkNamespace, openStore, paths, type Store, watchNamespace } from './index.ts'

test('checkNamespace knows whose an older store without tasks is by the epochs that were given', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'concord-namespace-'))
  const store = await openStore(`sqlite:${join(folder, 'store.sqlite')}`)
  t.after(async () => {
    await store.close()
    await rm(folder, { recursive: true })
  })
  await checkNamespace(store, 'other') // nobody's
  await store.create(paths.framework, { schema: 1, id: 'f' })
  await checkNamespace(store, 'other') // no function has run
  await store.create(paths.epoch('test', 'score'), { schema: 1, epoch: 3 })
  await checkNamespace(store, 'test')
  await assert.rejects(checkNamespace(store, 'other'), {
    code: 'ERR_OTHER_NAMESPACE',
    message: /'other': the store belongs to the namespace 'test'/,
  })
})

test('watchNamespace asks a store that did not answer again, until it is stopped', async () => {
  const clock = new ManualClock()
  let asked = 0
  let look = (): void => undefined
  const store = {
    watch: (_path: string, changed: () => void) => {
      look = changed
      return () => undefined
    },
    get: async () => {
      asked += 1
      if (asked !== 3) throw new Error('no answer')
      return { value: { schema: 1, id: 'f', namespace: 'test' }, version: 0 }
    },
  } as unknown as Store
  const refused: string[] = []
  const stop = watchNamespace(store, 'other', clock, ({ message }) => refused.push(message))
  look()
  for (let i = 0; i < 3; i++) {
    await nextTurn()
    clock.advance(5_000)
  }
  assert.deepEqual([asked, refused.length], [3, 1])
  look()
  stop()
  await nextTurn()
  clock.advance(5_000)
  assert.equal(asked, 4)
})
