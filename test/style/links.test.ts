import assert from 'node:assert/strict'
import { test } from 'node:test'
import { brokenLinks, lostDocuments, lostSources } from './links.ts'
import { listFiles, readSource } from './sources.ts'

test('docs: each link leads to a file that there is, and to a heading that it has', () => {
  assert.deepEqual(brokenLinks(), [])
})

test('docs: each source that is named is there', () => {
  assert.deepEqual(lostSources(), [])
})

test('sources: each document that a comment names is there', () => {
  assert.deepEqual(lostDocuments(), [])
})

test('docs: the index of the design pages has each of them', () => {
  const index = readSource('docs/design/README.md')
  const pages = listFiles('docs/design/0*.md').map((path) => path.split('/').at(-1)!)
  assert.ok(pages.length > 30)
  assert.deepEqual(
    pages.filter((page) => !index.includes(`(${page})`)),
    [],
  )
})
