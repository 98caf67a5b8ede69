import assert from 'node:assert/strict'
import { test } from 'node:test'
import { assertFails, concord, gatewayOf } from '../test-cli.ts'

const letter = {
  id: '12-0',
  function: 'removed',
  version: 1,
  stream: 'words',
  partition: 0,
  producer: 'p',
  sequence: 1,
  key: 'a',
  timeMs: 0,
  failedAtMs: 0,
  attempts: 1,
  state: 'redriven',
  error: { name: 'Error', message: 'no', stack: '' },
}

test('dlq reports an unknown function if the function does not exist and has left no letters', async (t) => {
  const { env } = await gatewayOf(t, ({ path }) => {
    const url = new URL(path, 'http://gateway')
    if (url.pathname === '/v1/functions/idle/versions') return { status: 200, json: { versions: [] } }
    if (url.pathname.startsWith('/v1/functions/')) {
      const detail = `There is no function '${url.pathname.split('/')[3]}'.`
      return { status: 404, json: { type: 'about:blank', code: 'ERR_FUNCTION_UNKNOWN', detail } }
    }
    if (url.pathname.endsWith('/redrive'))
      return { status: 200, json: { matched: 0, redriven: 0, streams: [] } }
    const { function: name, state } = Object.fromEntries(url.searchParams)
    const isLeft = name === 'removed' && state === 'all'
    return { status: 200, json: { letters: isLeft ? [letter] : [] } }
  })
  for (const words of [['ls'], ['ls', '--json'], ['redrive', '--until', '0s']]) {
    const said = (...names: string[]) => concord(['dlq', ...words, ...names], { env })
    assertFails(await said('nosuch'), 4, /There is no function 'nosuch'/)
    for (const names of [['idle'], ['removed'], []]) {
      const { code, stderr } = await said(...names)
      assert.deepEqual([code, stderr], [0, ''], `${words} ${names}`)
    }
  }
})

test('dlq ls says how to see more without naming another function than was asked for', async (t) => {
  const { env } = await gatewayOf(t, () => ({ status: 200, json: { letters: [letter], next: '12-0' } }))
  const { stderr } = await concord(['dlq', 'ls', 'removed', '--limit', '1'], { env })
  assert.equal(stderr, 'There are more: --limit 2 shows twice as many\n')
})

test('dlq ls shows of an error what no other column shows', async (t) => {
  const doing = "the record 1 of producer 0c6ed5d158a6 in 'words'/0 (key 'a')"
  const message = `Cannot go on with 'removed' v1: ${doing} took longer than its limit of 300 ms; it was ended at index.ts:10:13`
  const ended = { ...letter, error: { name: 'ERR_DEADLINE', message, at: 'index.ts:10:13', stack: '' } }
  const { env } = await gatewayOf(t, ({ path }) => ({
    status: 200,
    json: path.includes(ended.id) ? { ...ended, value: 'a' } : { letters: [ended] },
  }))
  const { stdout } = await concord(['dlq', 'ls', '--state', 'all'], { env })
  assert.match(
    stdout,
    / ERR_DEADLINE: took longer than its limit of 300 ms; it was ended at index\.ts:10:13\n/,
  )
  const shown = await concord(['dlq', 'show', ended.id], { env })
  assert.match(shown.stdout, / error +ERR_DEADLINE: .* it was ended at index\.ts:10:13\n/)
})

test('dlq rm asks which letters are meant, removes page by page, and says what it has freed', async (t) => {
  const asked: unknown[] = []
  const { env } = await gatewayOf(t, ({ path, body }) => {
    if (path !== '/v1/dead-letters/remove') return { status: 200, json: { letters: [letter] } }
    asked.push(JSON.parse(body.toString()))
    const part = { matched: 2, removed: 2, freedBytes: asked.length > 3 ? 0 : 1500 }
    return { status: 200, json: asked.length === 1 ? { ...part, next: '12-1' } : part }
  })
  assertFails(await concord(['dlq', 'rm'], { env }), 2, /Cannot remove dead letters without knowing which/)
  assertFails(
    await concord(['dlq', 'redrive'], { env }),
    2,
    /Cannot redrive dead letters without knowing which/,
  )
  for (const command of ['rm', 'redrive', 'ls'])
    assertFails(
      await concord(['dlq', command, '--error', ''], { env }),
      2,
      /option '--error <text>' argument '' is invalid\. Expected a part of the error: is a variable of the shell not set\?/,
    )
  assert.deepEqual(asked, [])
  const { stdout } = await concord(['dlq', 'rm', 'removed', '--error', 'no', '--state', 'redriven'], { env })
  assert.equal(stdout, '4 removed, 3.0 kB freed.\n')
  const request = { function: 'removed', error: 'no', state: 'redriven', dryRun: false }
  assert.deepEqual(asked, [request, { ...request, after: '12-1' }])
  const dry = await concord(['dlq', 'rm', '--id', '12-0', '--dry-run'], { env })
  assert.equal(dry.stdout, '2 would be removed, 1.5 kB freed.\n')
  assert.deepEqual(asked[2], { ids: ['12-0'], dryRun: true })
  const kept = await concord(['dlq', 'rm', '--id', '12-0'], { env })
  assert.equal(kept.stdout, '2 removed.\n')
  assert.match(kept.stderr, /their room is free once the letters that are stored with them are removed too/)
})

test('dlq ls cuts a key by what is shown of it', async (t) => {
  const letters = ['漢'.repeat(20), 'k'.repeat(33), 'k'.repeat(32)].map((key) => ({ ...letter, key }))
  const { env } = await gatewayOf(t, () => ({ status: 200, json: { letters } }))
  const { stdout } = await concord(['dlq', 'ls', '--state', 'all'], { env })
  const [, ...rows] = stdout.split('\n').map((row) => row.split(/ {2,}/)[4])
  assert.deepEqual(rows.slice(0, 3), [`${'漢'.repeat(15)}…`, `${'k'.repeat(31)}…`, 'k'.repeat(32)])
})
