import assert from 'node:assert/strict'
import { chmod, mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { makeHome } from './home.ts'

test('makeHome removes access of others to a home, and does not touch a folder that is meant for everybody', async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'concord-home-'))
  t.after(() => rm(dir, { recursive: true }))
  const modeOf = async (path: string) => (await stat(path)).mode & 0o7777
  await chmod(dir, 0o755)
  await makeHome(dir)
  assert.equal(await modeOf(dir), 0o700)
  await chmod(dir, 0o1777)
  await assert.rejects(makeHome(dir), { code: 'ERR_USAGE' })
  assert.equal(await modeOf(dir), 0o1777)
  const home = await makeHome(join(dir, 'concord'))
  assert.equal(await modeOf(home.root), 0o700)
})
