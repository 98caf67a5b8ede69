import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { loadCredentials } from './credentials.ts'

async function makeFile(t: TestContext): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'concord-credentials-'))
  t.after(() => rm(dir, { recursive: true }))
  return join(dir, 'credentials.json')
}

test('loadCredentials creates credentials once, readable only by their owner, all different', async (t) => {
  const file = await makeFile(t)
  const made = await loadCredentials(file)
  assert.deepEqual(await loadCredentials(file), made)
  assert.equal((await stat(file)).mode & 0o777, 0o600)
  const { nats, mesos, gatewayToken } = made
  const secrets = [...Object.values(nats).map(({ password }) => password), mesos.secret, gatewayToken]
  assert.equal(new Set(secrets).size, 6)
})

test('loadCredentials refuses a damaged file and does not show it', async (t) => {
  const file = await makeFile(t)
  const { gatewayToken } = await loadCredentials(file)
  const text = await readFile(file, 'utf8')
  for (const damaged of [
    text.slice(0, -20),
    text.replace(gatewayToken, gatewayToken.slice(0, -1)),
    '{}',
    '',
  ]) {
    await writeFile(file, damaged)
    await assert.rejects(loadCredentials(file), (error: Error & { code?: string }) => {
      assert.equal(error.code, 'ERR_CREDENTIALS')
      assert.ok(error.message.includes(file) && !error.message.includes(gatewayToken.slice(0, -1)))
      return true
    })
  }
})
