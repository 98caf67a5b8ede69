import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
// @ts-expect-error plain JavaScript without declarations: it runs before there is a TypeScript
import { isInstalled as untyped } from './npm-ci.mjs'

const isInstalled = untyped as (lockfile: string, folder: string) => boolean

test('isInstalled compares what npm installed with the lockfile', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'installed-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const lockfile = join(folder, 'package-lock.json')
  const list = join(folder, 'node_modules', '.package-lock.json')
  const write = (path: string, packages: object) => writeFileSync(path, JSON.stringify({ packages }))
  const [a, b] = [{ version: '1.0.0' }, { version: '2.0.0', optional: true }]
  mkdirSync(join(folder, 'node_modules'))

  write(lockfile, { '': {}, 'node_modules/a': a, 'node_modules/b': b })
  assert.equal(isInstalled(lockfile, folder), false, 'nothing is installed')
  write(list, { 'node_modules/a': a, 'node_modules/b': b })
  assert.equal(isInstalled(lockfile, folder), true)
  write(list, { 'node_modules/a': a })
  assert.equal(isInstalled(lockfile, folder), true, 'an optional package of another platform is absent')
  write(list, { 'node_modules/a': a, 'node_modules/b': { version: '2.0.1' } })
  assert.equal(isInstalled(lockfile, folder), false, 'another version')
  write(list, { 'node_modules/b': b })
  assert.equal(isInstalled(lockfile, folder), false, 'one is missing')
  const here = { version: '2.0.0', optional: true, os: process.platform, cpu: [process.arch] }
  write(lockfile, { 'node_modules/b': here })
  write(list, {})
  assert.equal(isInstalled(lockfile, folder), false, 'optional, but the program for this platform')
  write(lockfile, { 'node_modules/b': { ...here, cpu: ['other'] } })
  assert.equal(isInstalled(lockfile, folder), true, 'the program for another platform')
  writeFileSync(list, '{ "packages": {')
  assert.equal(isInstalled(lockfile, folder), false, 'npm was killed while it wrote')
})
