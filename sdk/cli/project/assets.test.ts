import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { ConcordClient } from '../../client/index.ts'
import { assetBytesMax } from '../../manifest/assets.ts'
import { assetFilesIn, assetFilesOf, nameOf, uploadAssets } from './assets.ts'

function folderWith(t: TestContext, files: Readonly<Record<string, string>>): string {
  const folder = mkdtempSync(join(tmpdir(), 'concord-cli-assets-'))
  t.after(() => rmSync(folder, { recursive: true }))
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text)
  return folder
}

test('assetFilesIn lists the files of a folder except hidden ones, and none without a folder', (t) => {
  const folder = folderWith(t, { 'model.bin': 'a', 'words.txt': 'b', '.gitkeep': '' })
  assert.deepEqual([...assetFilesIn(folder)].sort(), [
    ['model.bin', join(folder, 'model.bin')],
    ['words.txt', join(folder, 'words.txt')],
  ])
  assert.equal(assetFilesIn(join(folder, 'none')).size, 0)
  assert.equal(assetFilesIn(undefined).size, 0)
  mkdirSync(join(folder, 'more'))
  assert.throws(() => assetFilesIn(folder), { code: 'ERR_USAGE', message: /more as an asset: it is no file/ })
})

test('assetFilesOf and nameOf refuse files that cannot be assets, and say why', (t) => {
  const folder = folderWith(t, { 'a name': '', large: '' })
  assert.throws(() => assetFilesOf([join(folder, 'none')]), { code: 'ERR_FILE_MISSING' })
  assert.throws(() => assetFilesOf([join(folder, 'a name')]), {
    code: 'ERR_USAGE',
    message: /plain file name/,
  })
  assert.equal(nameOf(join(folder, 'a name'), 'name'), 'name')
  truncateSync(join(folder, 'large'), assetBytesMax + 1)
  assert.throws(() => assetFilesOf([join(folder, 'large')]), {
    code: 'ERR_USAGE',
    message: /at most 536870912/,
  })
})

test('uploadAssets asks first, and sends only what is missing', async (t) => {
  const folder = folderWith(t, { here: 'is there', gone: 'is not' })
  const hash = (text: string) => createHash('sha256').update(text).digest('hex')
  const sent: string[] = []
  const client = {
    assetContent: (sha256: string) =>
      Promise.resolve(sha256 === hash('is there') ? { sha256, bytes: 8 } : undefined),
    uploadAsset: async (sha256: string, bytes: Blob) => {
      sent.push(await bytes.text())
      return { sha256, bytes: bytes.size }
    },
  } as unknown as ConcordClient
  const uploaded = await uploadAssets(client, assetFilesIn(folder))
  assert.deepEqual(uploaded, { names: { here: hash('is there'), gone: hash('is not') }, sentBytes: 6 })
  assert.deepEqual(sent, ['is not'])
})
