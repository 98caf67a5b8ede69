import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { findLeftovers } from './leftovers.ts'
import { runTestFiles } from './test-runner.ts'
import type { UnsteadyFile } from './unsteady.ts'

const head = "import test from 'node:test'\n"

async function runSource(t: TestContext, source: string, timeoutMs = 60_000, again = 0) {
  const folder = mkdtempSync(join(tmpdir(), 'runner-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const file = join(folder, 'a.test.mjs')
  writeFileSync(file, head + source)
  const shown: string[] = []
  const unsteady: UnsteadyFile[] = []
  const passed = await runTestFiles([file], {
    concurrency: 1,
    timeoutMs,
    again,
    write: (text) => void shown.push(text),
    unsteady: (one) => void unsteady.push(one),
  })
  return { passed, shown: shown.join(''), unsteady: unsteady.map(({ failure }) => failure) }
}

test('runTestFiles passes a file whose tests pass, in one line, and keeps its output to itself', async (t) => {
  const { passed, shown } = await runSource(t, "test('a', () => console.log('chatter')); test('b', () => {})")
  assert.equal(passed, true)
  assert.match(shown, /^✔ .* 2 tests .* s\n$/)
})

test('runTestFiles shows the figures that a test tells', async (t) => {
  const { shown } = await runSource(t, "test('a', (t) => t.diagnostic('20 records, 3 ms'))")
  assert.match(shown, /^✔ .* 1 tests .* s\n {4}ℹ 20 records, 3 ms\n$/)
})

test('runTestFiles fails a file with a failing test and shows what it printed', async (t) => {
  const { passed, shown } = await runSource(
    t,
    "test('a', () => { console.log('chatter'); throw new Error('broken') })",
  )
  assert.equal(passed, false)
  assert.match(shown, /1 failed/)
  assert.match(shown, /chatter/)
  assert.match(shown, /broken/)
})

test('runTestFiles fails a file that does not load', async (t) => {
  const { passed, shown } = await runSource(t, "throw new Error('at load')")
  assert.equal(passed, false)
  assert.match(shown, /at load/)
})

test('runTestFiles fails a file that skips a test, and one without tests (V3)', async (t) => {
  const skipping = await runSource(t, `test('a', () => {}); test['sk' + 'ip']('b', () => {})`)
  assert.equal(skipping.passed, false)
  assert.match(skipping.shown, /1 skipped/)
  const empty = await runSource(t, '')
  assert.equal(empty.passed, false)
  assert.match(empty.shown, /holds no test/)
})

test('runTestFiles kills a file that keeps something open, after its timeout (V4)', async (t) => {
  const { passed, shown } = await runSource(t, "test('a', () => {}); setInterval(() => {}, 1000)", 1_500)
  assert.equal(passed, false)
  assert.match(shown, /not finished after 1.5 s/)
})

test('runTestFiles ends what such a file has started in a group of its own (V4)', async (t) => {
  const source = `import { spawn } from 'node:child_process'
    spawn('sleep', ['602'], { detached: true, stdio: 'ignore' }).once('spawn', () => console.log('up'))
    test('a', () => {}); setInterval(() => {}, 1000)`
  const { shown } = await runSource(t, source, 5_000)
  assert.match(shown, /up[\s\S]*not finished|not finished[\s\S]*up/)
  const left = findLeftovers(join(tmpdir(), 't-')).filter(({ command }) => command === 'sleep 602')
  assert.deepEqual(left, [])
})

test('runTestFiles gives a file that failed a second chance where it is asked to, and tells why it failed (V5)', async (t) => {
  const once = `import { existsSync, writeFileSync } from 'node:fs'
    const been = import.meta.filename + '.been'
    test('a', () => { const first = !existsSync(been); writeFileSync(been, ''); if (first) throw new Error('only once') })`
  const unsteady = await runSource(t, once, 60_000, 1)
  assert.equal(unsteady.passed, true)
  assert.match(unsteady.shown, /only once[\s\S]*once more, alone[\s\S]*✔/)
  assert.deepEqual(unsteady.unsteady, ['a\nError: only once'])
  assert.equal((await runSource(t, once)).passed, false, 'none was asked for')
  const broken = await runSource(t, "test('a', () => { throw new Error('always') })", 60_000, 1)
  assert.equal(broken.passed, false)
  assert.equal(broken.shown.match(/1 failed/g)?.length, 2)
  assert.deepEqual(broken.unsteady, [])
})

test('runTestFiles gives a file that a signal ended after its tests had passed a second chance too (V5)', async (t) => {
  const source = `import { existsSync, writeFileSync } from 'node:fs'
    const been = import.meta.filename + '.been'
    test('a', () => {})
    process.once('exit', () => { const first = !existsSync(been); writeFileSync(been, ''); if (first) process.abort() })`
  const { passed, shown, unsteady } = await runSource(t, source, 60_000, 1)
  assert.equal(passed, true)
  assert.match(shown, /0 failed, ended with SIGABRT[\s\S]*once more, alone[\s\S]*✔/)
  assert.deepEqual(unsteady, ['0 failed, ended with SIGABRT'])
})
