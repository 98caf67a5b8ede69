import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { jetstream } from '@nats-io/jetstream'
import { systemClock } from '../../infra/clock.ts'
import { lettersStream, marksStream } from '../../infra/dead-letters/index.ts'
import type { FunctionDetail } from '../../sdk/api/index.ts'
import { ConcordClient } from '../../sdk/client/index.ts'
import { type GivenLetter, letterStreams, writeLetters } from '../testing/letters.ts'
import {
  call,
  namespace,
  type Platform,
  sourceOf,
  startOwner,
  startPlatform,
  token,
  until,
} from '../testing/platform.ts'
import { LetterStore } from './letter-store.ts'
import { noMarks } from './marks.ts'
import { removeLetters } from './removal.ts'

let platform: Platform
let client: ConcordClient

before(async () => {
  platform = await startPlatform()
  client = new ConcordClient({ url: platform.gateway.url, token })
  await letterStreams(platform.nc)
})
after(() => platform.close())

function write(functionName: string, given: readonly GivenLetter[]): Promise<number> {
  return writeLetters(platform.nc, functionName, `${functionName}-in`, given)
}

function storeOf(ns = namespace, bytesMax = 2 ** 20): LetterStore {
  return new LetterStore({ nc: platform.nc, namespace: ns, bytesMax, ageMaxMs: 3_600_000 })
}

/** The messages in a stream of JetStream. */
async function stored(stream: string): Promise<number> {
  const manager = await jetstream(platform.nc).jetstreamManager()
  return (await manager.streams.info(stream)).state.messages
}

async function keysOf(
  functionName: string,
  state: 'waiting' | 'redriven' | 'all' = 'waiting',
): Promise<unknown[]> {
  return (await client.deadLetters({ function: functionName, state, limit: 1000 })).letters.map(
    ({ key }) => key,
  )
}

async function deploy(name: string): Promise<void> {
  const init = {
    headers: { 'content-type': 'application/typescript' },
    body: sourceOf(name, [`${name}-in`], []),
  }
  const answer = await platform.call('POST', `/v1/functions?file=${name}.ts`, init)
  assert.equal(answer.status, 200, await answer.clone().text())
}

test('remove takes letters by filter out of lists, counts and redrives, and frees a message when all of it is removed', async () => {
  await deploy('mixed')
  const before = await stored(lettersStream(namespace))
  const sequence = await write('mixed', [{ key: 'a', error: 'one' }, { key: 'b' }, { key: 'c' }])
  const counts = () =>
    until(
      'they are counted',
      async () =>
        ((await (await platform.call('GET', '/v1/functions/mixed')).json()) as FunctionDetail).deadLetters,
    )

  const dry = await client.removeDeadLetters({ function: 'mixed', error: 'one', dryRun: true })
  assert.deepEqual(dry, { matched: 1, removed: 0, freedBytes: 0 })
  assert.deepEqual(await keysOf('mixed'), ['a', 'b', 'c'])

  const some = await client.removeDeadLetters({ function: 'mixed', error: 'one' })
  assert.deepEqual(some, { matched: 1, removed: 1, freedBytes: 0 })
  assert.deepEqual(
    [await keysOf('mixed'), await keysOf('mixed', 'all')],
    [
      ['b', 'c'],
      ['b', 'c'],
    ],
  )
  assert.deepEqual(await counts(), { waiting: 2, redriven: 0 })
  assert.equal((await client.deadLetter(`${sequence}-0`)).state, 'removed')
  assert.equal((await client.redrive({ ids: [`${sequence}-0`], again: true })).matched, 0)
  assert.equal((await client.removeDeadLetters({ ids: [`${sequence}-0`] })).matched, 0)

  const would = await client.removeDeadLetters({ function: 'mixed', dryRun: true })
  const rest = await client.removeDeadLetters({ function: 'mixed', limit: 3 })
  assert.deepEqual([rest.matched, rest.removed, rest.freedBytes], [2, 2, would.freedBytes])
  assert.ok(rest.freedBytes > 100)
  assert.deepEqual(await counts(), { waiting: 0, redriven: 0 })
  assert.deepEqual(
    [await stored(lettersStream(namespace)), await stored(marksStream(namespace))],
    [before, 0],
  )
  await assert.rejects(client.deadLetter(`${sequence}-1`), { code: 'ERR_DEAD_LETTER_UNKNOWN' })
})

test('remove and redrive refuse a request that does not say which letters are meant, or names another function', async () => {
  const sequence = await write('kept', [{ key: 'a' }])
  const refusal = async (path: string, body: object) => {
    const init = { body: JSON.stringify(body) }
    const answer = await call(platform.gateway.url, 'POST', `/v1/dead-letters/${path}`, init)
    assert.ok(answer.status === 400 || answer.status === 404, `${answer.status}`)
    return ((await answer.json()) as { detail: string }).detail
  }
  assert.match(await refusal('remove', { all: true }), /all/)
  for (const vague of [{}, { dryRun: true }, { limit: 1 }, { after: '1-0' }])
    assert.match(
      await refusal('remove', vague),
      /expected which are meant, by at least one of function, error,/,
    )
  for (const path of ['remove', 'redrive']) {
    assert.match(await refusal(path, { error: '' }), /'error': expected a part of the error/)
    const id = `${sequence}-0`
    assert.equal(
      await refusal(path, { function: 'mixed', ids: [id] }),
      `There is no dead letter ${id} of 'mixed': it is one of 'kept'.`,
    )
  }
  assert.equal((await client.removeDeadLetters({ key: '', function: 'kept' })).matched, 0) // those without a key
  assert.deepEqual(await keysOf('kept'), ['a'])
  await client.removeDeadLetters({ function: 'kept' })
})

test('remove leaves what was redriven unless it is asked for; a page at a time', async (t) => {
  await deploy('sent')
  const owner = startOwner(platform.wire, 'sent', 'sent-in')
  t.after(() => owner.close())
  const before = await stored(lettersStream(namespace))
  for (const key of ['a', 'b', 'c']) await write('sent', [{ key: `${key}1` }, { key: `${key}2` }])
  assert.equal((await client.redrive({ function: 'sent', limit: 5 })).redriven, 5)
  assert.equal((await client.removeDeadLetters({ function: 'sent' })).removed, 1)
  assert.equal(await stored(lettersStream(namespace)), before + 3)

  const first = await client.removeDeadLetters({ function: 'sent', state: 'redriven', limit: 3 })
  assert.equal(first.removed, 3)
  assert.equal(await stored(lettersStream(namespace)), before + 2)
  const second = await client.removeDeadLetters({ function: 'sent', state: 'redriven', after: first.next! })
  assert.deepEqual([second.removed, second.next], [2, undefined])
  assert.deepEqual([await stored(lettersStream(namespace)), await keysOf('sent', 'all')], [before, []])
})

test('a full stream of dead letters takes letters again after a removal', async () => {
  const ns = 'small'
  const store = storeOf(ns, 64 * 1024)
  await store.ensure()
  const letter = { key: 'k', value: new Uint8Array(8 * 1024) }
  const more = () => writeLetters(platform.nc, 'fills', 'in', [letter], ns)
  await assert.rejects(async () => {
    for (;;) await more()
  }, /maximum bytes exceeded/)
  const { removed, freedBytes } = await removeLetters(store, systemClock, {
    ...{ function: 'fills', sinceMs: 0, dryRun: false, limit: 1 },
  })
  assert.equal(removed, 1)
  assert.ok(freedBytes > 8 * 1024, `${freedBytes} bytes`)
  await more()
})

test('of simultaneous removals and redrives each letter goes with one (RM1)', async (t) => {
  await deploy('raced')
  const owner = startOwner(platform.wire, 'raced', 'raced-in')
  t.after(() => owner.close())
  const before = await stored(lettersStream(namespace))
  const other = new ConcordClient({ url: (await platform.another()).url, token })
  for (let i = 0; i < 40; i++) await write('raced', [{ key: `${i}a` }, { key: `${i}b` }, { key: `${i}c` }])
  const [one, two, three, four] = await Promise.all([
    client.removeDeadLetters({ function: 'raced' }),
    other.redrive({ function: 'raced' }),
    other.removeDeadLetters({ function: 'raced' }),
    client.redrive({ function: 'raced' }),
  ])
  const removed = one.removed + three.removed
  const redriven = two.redriven + four.redriven
  assert.equal(removed + redriven, 120, `${removed} removed, ${redriven} redriven`)
  await until('those are processed', () => owner.processed() >= redriven)
  assert.equal(owner.processed(), redriven)
  assert.equal((await keysOf('raced', 'redriven')).length, redriven)
  await client.removeDeadLetters({ function: 'raced', state: 'redriven' })
  assert.deepEqual([await stored(lettersStream(namespace)), await keysOf('raced', 'all')], [before, []])
})

test('what a removal left that was killed is not listed, and the next removal frees it (RM2)', async () => {
  const store = storeOf()
  const before = await stored(lettersStream(namespace))
  const sequence = await write('killed', [{ key: 'a' }, { key: 'b' }])
  await store.markAll('killed', sequence, noMarks, { state: 'removed', atMs: 1 })
  assert.deepEqual(await keysOf('killed', 'all'), [])
  assert.equal((await client.redrive({ function: 'killed', again: true })).matched, 0)
  const { matched, removed, freedBytes } = await client.removeDeadLetters({ function: 'killed' })
  assert.deepEqual([matched, removed, freedBytes > 0], [0, 0, true])
  assert.deepEqual(
    [await stored(lettersStream(namespace)), await stored(marksStream(namespace))],
    [before, 0],
  )
})

test('LetterStore takes a first mark back if its message was removed meanwhile (LS3)', async () => {
  const store = storeOf()
  const sequence = await write('gone', [{ key: 'a' }])
  await client.removeDeadLetters({ function: 'gone' })
  const late = new Map([[0, { state: 'redriving', atMs: 1 } as const]])
  assert.equal(await store.mark('gone', sequence, noMarks, late), undefined)
  assert.equal((await store.marksOf('gone', sequence)).revision, 0)
})
