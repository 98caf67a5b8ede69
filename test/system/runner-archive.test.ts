/** A runner started from its archive: built, served by the gateway, fetched and unpacked by the cluster, without the checkout. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { test } from 'node:test'
import { Platform, Reader } from './platform.ts'

const root = resolve(import.meta.dirname, '../..')
const shout = `
import { defineFunction, groupBy } from 'concord'
export default defineFunction({
  metadata: { name: 'shout', istreams: { words: groupBy }, ostreams: ['loud'] },
  processRecord(ctx, record) { ctx.produceRecord('loud', record.key, record.text().toUpperCase()) },
})
`

test('runners are started from the archive, fetched once, and need nothing of the checkout', {
  timeout: 400_000,
}, async (t) => {
  const out = mkdtempSync(join(tmpdir(), 'concord-archive-'))
  t.after(() => rmSync(out, { recursive: true, force: true }))
  const words = ['--no-node-snapshot', join(root, 'runner/archive/main.ts'), '--out', out]
  const said = execFileSync(process.execPath, words, { encoding: 'utf8' })
  const { file, bytes } = JSON.parse(said) as { file: string; bytes: number }
  t.diagnostic(`the archive has ${(bytes / 2 ** 20).toFixed(1)} MiB`)

  const platform = await Platform.start(t, {
    CONCORD_RUNNER_ARCHIVE_FILE: file,
    CONCORD_RUNNER_ARCHIVE_KEY: 'a key of sixteen characters',
  })
  writeFileSync(join(platform.home, 'shout.ts'), shout)
  await platform.json(['stream', 'create', 'loud'])
  const reader = await Reader.start(t, platform, ['loud'])
  const deploy = ['fn', 'deploy', join(platform.home, 'shout.ts'), '--instances', '2']
  await platform.json(deploy)
  await platform.json(['produce', 'words', '--key', 'k'], 'hello\nworld\n')
  await reader.read(2)
  assert.deepEqual(
    reader.records.map((record) => record['value']),
    ['HELLO', 'WORLD'],
  )

  const { instances } = await platform.until('shout', (d) =>
    d.instances.every(({ pid }) => pid !== undefined),
  )
  for (const { pid, taskId } of instances) {
    const program = readlinkSync(`/proc/${pid}/exe`)
    assert.ok(program.endsWith(`/sandboxes/${taskId}/concord-runner/node`), program)
    const maps = readFileSync(`/proc/${pid}/maps`, 'utf8')
    assert.match(maps, /concord-runner\/node_modules\/isolated-vm\/prebuilds/)
    assert.ok(!maps.includes(`${root}/`) && !readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(root))
    assert.deepEqual(readdirSync(dirname(program)).includes('runner-main.js'), true)
  }
  assert.equal(readdirSync(join(platform.home, 'minimesos/fetched')).length, 1, 'both have unpacked one file')
})
