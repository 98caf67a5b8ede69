import assert from 'node:assert/strict'
import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { loadCredentials } from './credentials.ts'
import { type Home, homeOf } from './home.ts'

async function makeHome(t: TestContext): Promise<Home> {
  const dir = await mkdtemp(join(tmpdir(), 'concord-credentials-'))
  t.after(() => rm(dir, { recursive: true }))
  return homeOf(dir)
}

test('loadCredentials creates credentials once, readable only by their owner, all different', async (t) => {
  const home = await makeHome(t)
  const made = await loadCredentials(home)
  assert.deepEqual(await loadCredentials(home), made)
  assert.equal((await stat(home.credentials)).mode & 0o777, 0o600)
  const { nats, mesos, gatewayToken } = made
  const secrets = [...Object.values(nats).map(({ password }) => password), mesos.secret, gatewayToken]
  assert.equal(new Set(secrets).size, 6)
})

test('loadCredentials refuses a damaged file and does not show it', async (t) => {
  const home = await makeHome(t)
  const { gatewayToken } = await loadCredentials(home)
  const text = await readFile(home.credentials, 'utf8')
  for (const damaged of [
    text.slice(0, -20),
    text.replace(gatewayToken, gatewayToken.slice(0, -1)),
    '{}',
    '',
  ]) {
    await writeFile(home.credentials, damaged)
    await assert.rejects(loadCredentials(home), (error: Error & { code?: string }) => {
      assert.equal(error.code, 'ERR_CREDENTIALS')
      assert.ok(
        error.message.includes(home.credentials) && !error.message.includes(gatewayToken.slice(0, -1)),
      )
      return true
    })
  }
})

test('loadCredentials makes no new ones beside a store in ZooKeeper, which would refuse them', async (t) => {
  const home = await makeHome(t)
  await mkdir(join(home.zookeeper, 'server-1', 'data', 'version-2'), { recursive: true })
  await assert.rejects(loadCredentials(home), {
    code: 'ERR_CREDENTIALS',
    message: /credentials\.json: there is no such file\. Put back a copy: the store in .* accepts no others/,
  })
  await assert.rejects(stat(home.credentials), { code: 'ENOENT' })
})

test('loadCredentials advises new ones only where no store in ZooKeeper knows us by the old ones', async (t) => {
  const home = await makeHome(t)
  await writeFile(home.credentials, '')
  await assert.rejects(loadCredentials(home), /damaged\. Put back a copy, or remove the file/)
  await mkdir(join(home.zookeeper, 'server-1', 'data', 'version-2'), { recursive: true })
  await assert.rejects(loadCredentials(home), /damaged\. Put back a copy: the store in .* accepts no others/)
})
