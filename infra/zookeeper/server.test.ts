import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { startZooKeeper } from './index.ts'

test('startZooKeeper keeps its data in the folder that was named, whatever letters that has', async (t) => {
  const home = await mkdtemp(join(tmpdir(), 'concord-zookeeper-'))
  t.after(() => rm(home, { recursive: true }))
  const dir = join(home, 'josé', 'zoo keeper')
  await mkdir(dir, { recursive: true })
  const server = await startZooKeeper({ dir })
  t.after(() => server.stop('SIGKILL'))
  assert.equal(existsSync(join(dir, 'data', 'version-2')), true)
})
