import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { root } from '../test-cli.ts'
import { absentText } from './absent-text.ts'

const use = { package: undefined, place: 'index.ts:10:5', more: 0 }

test('absentText says where, and what there is instead', () => {
  assert.equal(
    absentText({ ...use, names: ['Buffer'], more: 1 }),
    "index.ts:10:5 and 1 more place: 'Buffer' is not there where functions run: use Uint8Array, TextEncoder and TextDecoder, atob and btoa",
  )
  assert.equal(
    absentText({
      names: ['Buffer', 'process'],
      package: '@a/b',
      place: 'node_modules/@a/b/c.js:1:1',
      more: 2,
    }),
    "package @a/b: 'Buffer', 'process' are not there where functions run (node_modules/@a/b/c.js:1:1 and 2 more places): a record that gets there fails, also if a unit test does not",
  )
})

test('absentText names pages that are there', () => {
  const page = (name: string) => readFileSync(join(root, name), 'utf8')
  const [, heading] = /see docs\/functions\.md, "(.*)"$/.exec(absentText({ ...use, names: ['Event'] }))!
  assert.match(page('docs/functions.md'), RegExp(`^## ${heading}$`, 'm'))
  const [, file] = /: a function has no network: (docs\/[\w-]+\.md) /.exec(
    absentText({ ...use, names: ['fetch'] }),
  )!
  assert.match(page(file!), /^# Calls to other systems$/m)
})
