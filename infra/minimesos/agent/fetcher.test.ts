import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { pathToFileURL } from 'node:url'
import { defer, tempDir } from '../test-framework.ts'
import { FetchCache } from './fetch-cache.ts'
import { type FetchOptions, fetchAll } from './fetcher.ts'

const never = new AbortController().signal
const optionsIn = (t: TestContext, sandbox: string): FetchOptions => ({
  sandbox,
  cache: new FetchCache(join(tempDir(t), 'fetched')),
  signal: never,
})

test('fetchAll fetches paths, file: and http: URLs, makes programs executable, and unpacks only archives', async (t) => {
  const [from, sandbox] = [tempDir(t), tempDir(t)]
  writeFileSync(join(from, 'a.txt'), 'a')
  execFileSync('tar', ['-C', from, '-czf', join(from, 'a.tgz'), 'a.txt'])
  const server = createServer((_, response) => response.end('#!/bin/sh\n')).listen(0, '127.0.0.1')
  defer(t, () => server.close())
  await new Promise((done) => server.once('listening', done))
  const { port } = server.address() as AddressInfo
  const archive = { value: join(from, 'a.tgz'), extract: false }

  await fetchAll(
    [
      { value: pathToFileURL(join(from, 'a.txt')).href, output_file: 'sub/b.txt' },
      { value: `http://127.0.0.1:${port}/run.sh?version=1`, executable: true, cache: true },
      archive,
    ],
    optionsIn(t, sandbox),
  )
  assert.equal(readFileSync(join(sandbox, 'sub/b.txt'), 'utf8'), 'a')
  assert.equal(statSync(join(sandbox, 'run.sh')).mode & 0o111, 0o111)
  assert.ok(existsSync(join(sandbox, 'a.tgz')) && !existsSync(join(sandbox, 'a.txt')))
  await fetchAll([{ value: archive.value }], optionsIn(t, sandbox))
  assert.equal(readFileSync(join(sandbox, 'a.txt'), 'utf8'), 'a')
})

test('fetchAll says which URI it could not fetch and why, and writes nothing outside the sandbox', async (t) => {
  const dir = tempDir(t)
  const sandbox = join(dir, 'sandbox')
  mkdirSync(sandbox)
  writeFileSync(join(dir, 'file'), 'x')
  const server = createServer((_, response) => response.writeHead(404).end()).listen(0, '127.0.0.1')
  defer(t, () => server.close())
  await new Promise((done) => server.once('listening', done))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/x`
  const table: readonly (readonly [Parameters<typeof fetchAll>[0][number], RegExp])[] = [
    [{ value: '/nonexistent/file' }, /^Failed to fetch '\/nonexistent\/file': ENOENT/],
    [{ value: 'relative/file' }, /only absolute paths/],
    [{ value: url }, /the server answered 404/],
    [{ value: join(dir, 'file'), output_file: '../escaped' }, /not a file within the sandbox/],
    [{ value: join(dir, 'file'), output_file: '/tmp/escaped' }, /not a file within the sandbox/],
    [{ value: `${dir}/..` }, /not a file within the sandbox/],
  ]
  for (const [uri, reason] of table) {
    await assert.rejects(fetchAll([uri], optionsIn(t, sandbox)), (error: Error) => reason.test(error.message))
  }
  assert.equal(existsSync(join(dir, 'escaped')), false)
})

test('fetchAll fetches a cacheable file once for everybody, and unpacks it from the cache', async (t) => {
  const from = tempDir(t)
  writeFileSync(join(from, 'a.txt'), 'a')
  execFileSync('tar', ['-C', from, '-czf', join(from, 'a.tgz'), 'a.txt'])
  let [requests, isDown] = [0, false]
  const server = createServer((_, response) => {
    requests++
    if (isDown) response.writeHead(503).end()
    else setImmediate(() => response.end(readFileSync(join(from, 'a.tgz'))))
  }).listen(0, '127.0.0.1')
  defer(t, () => server.close())
  await new Promise((done) => server.once('listening', done))
  const url = (name: string) => `http://127.0.0.1:${(server.address() as AddressInfo).port}/${name}`
  const dir = join(tempDir(t), 'fetched')
  const cache = new FetchCache(dir, statSync(join(from, 'a.tgz')).size)
  const fetch = async (name: string) => {
    const sandbox = tempDir(t)
    await fetchAll([{ value: url(name), cache: true }], { sandbox, cache, signal: never })
    return sandbox
  }
  for (const sandbox of await Promise.all([fetch('x.tgz'), fetch('x.tgz'), fetch('x.tgz')])) {
    assert.equal(readFileSync(join(sandbox, 'a.txt'), 'utf8'), 'a')
    assert.ok(!existsSync(join(sandbox, 'x.tgz')), 'the archive itself is in the cache alone')
  }
  assert.equal(requests, 1)
  isDown = true
  await assert.rejects(fetch('y.tgz'), /answered 503/)
  isDown = false
  await fetch('y.tgz') // a failure is not remembered; and there is room for one
  assert.equal(requests, 3)
  await fetch('y.tgz')
  assert.equal(requests, 3)
  assert.equal(readdirSync(dir).length, 1)
  await fetch('x.tgz')
  assert.equal(requests, 4, 'it was thrown out')
})
