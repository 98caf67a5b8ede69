import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { jetstream } from '@nats-io/jetstream'
import { subjects } from '../../infra/bus/index.ts'
import { systemClock } from '../../infra/clock.ts'
import { type Letter, lettersStream } from '../../infra/dead-letters/index.ts'
import type { DeadLetter, DeadLetterList, FunctionDetail, RedriveAnswer } from '../../sdk/api/index.ts'
import { ConcordClient } from '../../sdk/client/index.ts'
import { CodedError } from '../../sdk/errors.ts'
import { type GivenLetter, letterStreams, writeLetters } from '../testing/letters.ts'
import {
  call,
  linesOf,
  namespace,
  type Platform,
  sourceOf,
  startOwner,
  startPlatform,
  token,
  until,
} from '../testing/platform.ts'
import { DeadLetters, type DeadLettersOptions } from './dead-letters.ts'
import { LetterStore } from './letter-store.ts'

let platform: Platform
let client: ConcordClient

before(async () => {
  platform = await startPlatform()
  client = new ConcordClient({ url: platform.gateway.url, token })
  await letterStreams(platform.nc)
})
after(() => platform.close())

function write(functionName: string, stream: string, given: readonly GivenLetter[]): Promise<number> {
  return writeLetters(platform.nc, functionName, stream, given)
}

async function deploy(name: string, input: string): Promise<void> {
  const init = { headers: { 'content-type': 'application/typescript' }, body: sourceOf(name, [input], []) }
  const answer = await platform.call('POST', `/v1/functions?file=${name}.ts`, init)
  assert.equal(answer.status, 200, await answer.clone().text())
}

/** Follows a stream and answers its records one after the other. */
async function reader(stream: string): Promise<() => Promise<Record<string, unknown>>> {
  const response = await platform.call('GET', `/v1/streams/${stream}/records`)
  const lines = linesOf(response)
  await lines.next() // ready
  return async () => (await lines.next()).value as Record<string, unknown>
}

test('dead letters are listed by function, error, key and time, page by page, and shown with bytes and stack', async () => {
  await write('lister', 'some', [
    { key: 'a', error: 'one' },
    { key: 'b', error: 'two', failedAtMs: 2000 },
  ])
  await write('lister', 'some', [{ key: 'c', value: Uint8Array.of(0, 255), error: 'one', failedAtMs: 3000 }])
  await write('other', 'some', [{ key: 'a' }])
  const keys = async (options: Parameters<ConcordClient['deadLetters']>[0]): Promise<string[]> =>
    (await client.deadLetters({ function: 'lister', ...options })).letters.map(({ key }) => key!)
  assert.deepEqual(await keys({}), ['a', 'b', 'c'])
  assert.deepEqual(await keys({ error: 'RangeError: one' }), ['a', 'c'])
  assert.deepEqual(await keys({ key: 'b' }), ['b'])
  assert.deepEqual(await keys({ sinceMs: 2000, untilMs: 3000 }), ['b'])
  assert.deepEqual(await keys({ state: 'redriven' }), [])

  const seen: string[] = []
  let after: string | undefined
  do {
    const page: DeadLetterList = await client.deadLetters({
      ...{ function: 'lister', limit: 1 },
      ...(after === undefined ? {} : { after }),
    })
    seen.push(...page.letters.map(({ key }) => key!))
    after = page.next
  } while (after !== undefined)
  assert.deepEqual(seen, ['a', 'b', 'c'])

  const { letters } = await client.deadLetters({ function: 'lister', key: 'c' })
  const letter: DeadLetter = await client.deadLetter(letters[0]!.id)
  const { id: _, ...rest } = letter
  assert.deepEqual(rest, {
    ...{ function: 'lister', version: 4, stream: 'some', partition: 0, producer: '00000000000000aa' },
    ...{ sequence: 0, attempts: 3, failedAtMs: 3000, timeMs: 77, key: 'c', valueBytes: 2 },
    valueBase64: Buffer.from([0, 255]).toString('base64'),
    error: { name: 'RangeError', message: 'one', stack: 'RangeError: one\n    at f.ts:8:3', at: 'f.ts:8:3' },
    state: 'waiting',
  })
})

test('a letter of a later build is not listed, and who asks for it by its id is told so', async () => {
  const subject = subjects.deadLetterSubject(namespace, 'later', 1)
  const { seq } = await jetstream(platform.nc).publish(subject, Uint8Array.of(0xcd, 9, 0, 0, 0, 0, 0, 0))
  assert.deepEqual((await client.deadLetters({ function: 'later' })).letters, [])
  const told = { code: 'ERR_LETTER_MALFORMED', message: /is of version 9, .* A later build reads it/ }
  await assert.rejects(client.deadLetter(`${seq}-0`), told)
  await assert.rejects(client.redrive({ ids: [`${seq}-0`] }), told)
})

test('redrive sends each letter back once, in order, into its partition, and marks it; a dry run changes nothing', async (t) => {
  await deploy('taker', 'back')
  const owner = startOwner(platform.wire, 'taker', 'back')
  t.after(() => owner.close())
  const next = await reader('back')
  const many = Array.from({ length: 50 }, (_, i) => ({ key: `k${i}`, sequence: i, partition: 5 }))
  await write('taker', 'back', many.slice(0, 20))
  await write('taker', 'back', many.slice(20))
  // Left out where JetStream takes its time.
  const counts = () =>
    until(
      'they are counted',
      async () =>
        ((await (await platform.call('GET', '/v1/functions/taker')).json()) as FunctionDetail).deadLetters,
    )
  assert.deepEqual(await counts(), { waiting: 50, redriven: 0 })

  const streams = [{ stream: 'back', records: 50, readBy: ['taker'] }]
  assert.deepEqual(await client.redrive({ function: 'taker', dryRun: true }), {
    matched: 50,
    redriven: 0,
    streams,
  })
  assert.deepEqual(await counts(), { waiting: 50, redriven: 0 })

  assert.equal((await client.redrive({ function: 'taker', key: 'k7' })).redriven, 1)
  const first: RedriveAnswer = await client.redrive({ function: 'taker', limit: 30 })
  assert.equal(first.redriven, 30)
  const rest = await client.redrive({ function: 'taker', after: first.next! })
  assert.equal(rest.redriven, 19)
  assert.equal((await client.redrive({ function: 'taker' })).matched, 0)

  const got: Record<string, unknown>[] = []
  while (got.length < 50) got.push(await next())
  assert.deepEqual(
    got.map(({ key }) => key),
    ['k7', ...many.map(({ key }) => key).filter((key) => key !== 'k7')],
  )
  assert.deepEqual(new Set(got.map(({ partition }) => partition)), new Set([5]))
  assert.deepEqual(new Set(got.map(({ timeMs }) => timeMs)), new Set([77]))
  assert.equal(got[0]!['value'], 'value of k7')
  assert.deepEqual(await counts(), { waiting: 0, redriven: 50 })
  const { letters } = await client.deadLetters({ function: 'taker', state: 'redriven' })
  assert.equal(letters.length, 50)
  assert.ok(letters.every(({ state, markedAtMs }) => state === 'redriven' && markedAtMs! > 0))
})

test('simultaneous redrives of two gateways send each letter back once (LS1)', async (t) => {
  await deploy('shared', 'shared-in')
  const owner = startOwner(platform.wire, 'shared', 'shared-in')
  t.after(() => owner.close())
  const other = await platform.another()
  const next = await reader('shared-in')
  for (let i = 0; i < 20; i++)
    await write('shared', 'shared-in', [{ key: `${i}a` }, { key: `${i}b` }, { key: `${i}c` }])
  const clients = [client, new ConcordClient({ url: other.url, token })]
  const answers = await Promise.all([...clients, ...clients].map((c) => c.redrive({ function: 'shared' })))
  assert.equal(
    answers.reduce((sum, { redriven }) => sum + redriven, 0),
    60,
  )
  const keys: unknown[] = []
  while (keys.length < 60) keys.push((await next())['key'])
  assert.equal(new Set(keys).size, 60)
})

test('redrive refuses unknown streams, unknown ids and contradictory requests, and claims nothing', async () => {
  await write('homeless', 'nowhere', [{ key: 'a' }])
  await assert.rejects(client.redrive({ function: 'homeless' }), { code: 'ERR_STREAM_UNKNOWN' })
  const { letters } = await client.deadLetters({ function: 'homeless' })
  assert.equal(letters[0]!.state, 'waiting')
  await write('homeless', '', [{ key: 'a', timer: { arena: 7, instance: 0 } }])
  const timers = await client.deadLetters({ function: 'homeless', key: 'a' })
  const [, timer] = timers.letters
  assert.deepEqual([timer!.timer, timer!.partition, timer!.timeMs], [true, 7, 77])
  const redriven = client.redrive({ ids: [timer!.id] })
  await assert.rejects(redriven, {
    code: 'ERR_INSTANCE_UNKNOWN',
    message: /partition 7 of it is not at work/,
  })
  assert.equal((await client.deadLetter(timer!.id)).state, 'waiting')
  await assert.rejects(client.redrive({ ids: ['99999-0'] }), { code: 'ERR_DEAD_LETTER_UNKNOWN' })
  await assert.rejects(client.deadLetter('99999-0'), { code: 'ERR_DEAD_LETTER_UNKNOWN' })
  await assert.rejects(client.deadLetter('x'), { code: 'ERR_REQUEST_INVALID' })
  const odd = await call(platform.gateway.url, 'POST', '/v1/dead-letters/redrive', { body: '{"all":true}' })
  assert.equal(odd.status, 400)
})

test('LetterStore lets JetStream recognise a letter that is sent again for an hour, if it is kept so long', async () => {
  const manager = await jetstream(platform.nc).jetstreamManager()
  for (const [ageMaxMs, knownMs] of [
    [7_200_000, 3_600_000],
    [360_000, 360_000],
  ] as const) {
    await new LetterStore({ nc: platform.nc, namespace: 'aged', bytesMax: 2 ** 20, ageMaxMs }).ensure()
    const { config } = await manager.streams.info(lettersStream('aged'))
    assert.equal(config.duplicate_window, knownMs * 1_000_000)
  }
})

test('redrive marks the records of a message that were sent, even if its timers are not confirmed', async () => {
  await write('mixed', 'mixed-in', [{ key: 'a' }, { key: 't', timer: { arena: 0, instance: 0 } }])
  const sent: string[] = []
  const letters = new DeadLetters({
    store: new LetterStore({ nc: platform.nc, namespace, bytesMax: 2 ** 20, ageMaxMs: 60_000 }),
    clock: systemClock,
    view: () => ({ functions: new Map(), streams: new Map([['mixed-in', {}]]) }) as never,
    ingest: {
      room: async () => undefined,
      batch: () => ({
        add: ({ key }: Letter['record']) => sent.push(`${Buffer.from(key)}`),
        flush: () => undefined,
      }),
    } as unknown as DeadLettersOptions['ingest'],
    timers: {
      ownerOf: () => ({ instance: 'mixed-0', taskId: 't' }),
      set: async () => {
        throw new CodedError('ERR_REDRIVE', 'its runner does not answer')
      },
    },
  })
  const request = { function: 'mixed', again: false, dryRun: false, limit: 10 }
  await assert.rejects(letters.redrive(request, new AbortController().signal), { code: 'ERR_REDRIVE' })
  const { letters: now } = await client.deadLetters({ function: 'mixed', state: 'all' })
  const states = now.map(({ key, state }) => [key, state])
  assert.deepEqual([sent, Object.fromEntries(states)], [['a'], { a: 'redriven', t: 'redriving' }])
})
