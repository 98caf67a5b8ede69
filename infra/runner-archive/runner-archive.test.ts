import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import { archiveName, checkKey, openArchive, signedPath, verifyPath } from './index.ts'

const key = 'a key of sixteen characters'
const name = archiveName('a'.repeat(64))

test('signedPath is valid for one to two times urlSeconds, and stays the same for a while (SP1, SP2 of signed-path.ts)', () => {
  const seconds = fc.integer({ min: 1, max: 100_000 })
  const time = fc.integer({ min: 0, max: 4_000_000_000_000 })
  fc.assert(
    fc.property(time, seconds, fc.integer({ min: 0, max: 200_000_000 }), (nowMs, urlSeconds, laterMs) => {
      const path = signedPath(name, key, nowMs, urlSeconds)
      const isGood = verifyPath(path, key, nowMs + laterMs) === name
      if (laterMs < urlSeconds * 1000) assert.ok(isGood)
      if (laterMs >= 2 * urlSeconds * 1000) assert.ok(!isGood)
      const window = (ms: number) => Math.floor(ms / 1000 / urlSeconds)
      const later = signedPath(name, key, nowMs + laterMs, urlSeconds)
      assert.equal(later === path, window(nowMs) === window(nowMs + laterMs))
    }),
  )
})

test('verifyPath refuses another file, a later end, another key, and any other path', () => {
  const path = signedPath(name, key, 0, 60)
  const [, , , end, signature] = path.split('/')
  for (const other of [
    `/v1/runner/${end}/${signature}/${archiveName('b'.repeat(64))}`,
    `/v1/runner/${Number(end) + 60}/${signature}/${name}`,
    `/v1/runner/${end}/${'0'.repeat(64)}/${name}`,
    `/v1/runner/${end}/${signature}/../${name}`,
    `${path}/`,
    '/v1/runner/',
  ])
    assert.equal(verifyPath(other, key, 0), undefined, other)
  assert.equal(verifyPath(path, `${key}!`, 0), undefined)
  fc.assert(fc.property(fc.string(), (text) => verifyPath(`/v1/runner/${text}`, key, 0) === undefined))
  assert.throws(() => checkKey(undefined), /runnerArchive\.key, which has no value/)
  assert.throws(() => checkKey('short'), /has 5 characters/)
})

test('openArchive accepts a file whose content matches its name, and says what is wrong with another', async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'concord-archive-'))
  t.after(() => rm(dir, { recursive: true }))
  const content = 'an archive'
  const path = join(dir, archiveName(createHash('sha256').update(content).digest('hex')))
  await writeFile(path, content)
  assert.deepEqual(await openArchive(path), { path, name: path.split('/').at(-1), bytes: content.length })
  await writeFile(path, 'something else')
  await assert.rejects(openArchive(path), /its content is not what its name says\. Build one with/)
  await assert.rejects(openArchive(join(dir, name)), /ENOENT/)
  await assert.rejects(openArchive(join(dir, 'runner.tgz')), /its name is not concord-runner-SHA256\.tar\.gz/)
})
