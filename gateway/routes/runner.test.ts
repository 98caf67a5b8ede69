import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { archiveName, openArchive, signedPath } from '../../infra/runner-archive/index.ts'
import { startPlatform } from '../testing/platform.ts'

const key = 'a key of sixteen characters'

test("a gateway serves the runner's archive for a signed URL, and nothing else", async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'concord-archive-'))
  const content = Buffer.alloc(300_000, 'runner')
  const name = archiveName(createHash('sha256').update(content).digest('hex'))
  await writeFile(join(dir, name), content)
  const platform = await startPlatform({ runner: { archive: await openArchive(join(dir, name)), key } })
  t.after(async () => {
    await platform.close()
    await rm(dir, { recursive: true })
  })
  const get = (path: string, init?: RequestInit) => fetch(platform.gateway.url + path, init)
  const path = signedPath(name, key, Date.now(), 600)

  const head = await get(path, { method: 'HEAD' }) // so asks the fetcher of Mesos, to know the size
  assert.deepEqual([head.status, head.headers.get('content-length')], [200, String(content.length)])
  const answer = await get(path)
  assert.equal(answer.status, 200)
  assert.ok(content.equals(Buffer.from(await answer.arrayBuffer())))

  const refused = async (other: string) => {
    const response = await get(other)
    const { code, detail } = (await response.json()) as { code: string; detail: string }
    return [response.status, code, detail]
  }
  const late = signedPath(name, key, Date.now() - 3_600_000, 600)
  const forged = signedPath(name, `${key}!`, Date.now(), 600)
  for (const bad of [late, forged]) {
    const [status, code, detail] = await refused(bad)
    assert.deepEqual([status, code], [401, 'ERR_UNAUTHORIZED'])
    assert.match(String(detail), /not signed by a scheduler .* or its time is over/)
  }
  const [status, , detail] = await refused(signedPath(archiveName('a'.repeat(64)), key, Date.now(), 600))
  assert.equal(status, 404)
  assert.match(String(detail), /this gateway serves concord-runner-/)
  assert.equal((await get('/v1/functions')).status, 401)
})
