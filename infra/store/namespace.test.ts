import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { checkNamespace, openStore, paths } from './index.ts'

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
