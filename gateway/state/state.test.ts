import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { subjects } from '../../infra/bus/index.ts'
import { decodeStateAsk, encodeState, type StateAnswer, type StateAsk } from '../../infra/control/index.ts'
import { paths, type StatusDocument } from '../../infra/store/index.ts'
import type { Problem } from '../../sdk/api/index.ts'
import type { FunctionState } from '../../sdk/api/state.ts'
import { partitionOf } from '../../sdk/wire/hash.ts'
import { namespace, type Platform, sourceOf, startPlatform, until } from '../testing/platform.ts'

let platform: Platform
before(async () => {
  platform = await startPlatform()
})
after(() => platform.close())

const halves = [Array.from({ length: 8 }, (_, i) => 2 * i), Array.from({ length: 8 }, (_, i) => 2 * i + 1)]
const asks: StateAsk[] = []

/** A function with two instances in one runner, which answers so. */
async function begin(name: string, answer?: (ask: StateAsk) => StateAnswer): Promise<void> {
  assert.equal(
    (await platform.call('POST', '/v1/functions', { body: sourceOf(name, ['words'], []) })).status,
    200,
  )
  const at = {
    epoch: 1,
    version: 1,
    state: 'running',
    generation: 1,
    generationSeen: 1,
    restarts: 0,
    since: 1,
  } as const
  const status: StatusDocument = {
    ...{ schema: 1, function: name, version: 1 },
    instances: halves.map((shares, index) => ({
      id: `${name}-${index}`,
      index,
      ...at,
      shares,
      taskId: `${name}-task`,
    })),
    ended: { recordsIn: 0, recordsOut: 0, errors: 0, outputs: [] },
  }
  await platform.store.create(paths.status(namespace, name), status)
  await until('the gateway knows the instances', async () => {
    const detail = (await (await platform.call('GET', `/v1/functions/${name}`)).json()) as {
      instances: object[]
    }
    return detail.instances.length === 2
  })
  if (answer === undefined) return
  platform.nc.subscribe(subjects.stateSubject(namespace, `${name}-task`), {
    callback: (_, message) => {
      const ask = decodeStateAsk(message.data)!
      asks.push(ask)
      message.respond(encodeState(answer(ask)))
    },
  })
  await platform.nc.flush()
}

async function read(name: string, query = ''): Promise<FunctionState & Problem> {
  const answer = await platform.call('GET', `/v1/functions/${name}/state${query}`)
  return (await answer.json()) as FunctionState & Problem
}

const has = (instance: string, partitions = halves[Number(instance.at(-1))]!): StateAnswer => ({
  ...{ ok: true, version: 3, readAtMs: 5 },
  partitions: partitions.map((partition) => ({ partition, entries: 1, bytes: 2, timers: 0 })),
})

test('the state is asked of each instance that has partitions of it, and the answers are one', async () => {
  await begin('score', ({ instance }) => has(instance))
  asks.length = 0
  const all = await read('score', '?key=card%2F42')
  assert.deepEqual(
    all.instances.map(({ instance, version, partitions }) => [instance, version, partitions.length]),
    [
      ['score-0', 3, 8],
      ['score-1', 3, 8],
    ],
  )
  const first = partitionOf(Buffer.from('card/42'), 16)
  assert.deepEqual([all.unread, all.keyPartition], [[], first])
  const key = Buffer.from('card/42').toString('base64')
  assert.deepEqual(
    asks.map(({ instance, ...ask }) => ask),
    [
      { schema: 1, key, first },
      { schema: 1, key, first },
    ],
  )
  asks.length = 0
  await read('score', `?keyBase64=${encodeURIComponent(key)}&partition=3`)
  assert.deepEqual(asks, [{ schema: 1, instance: 'score-1', key, partition: 3, first }])
  assert.equal((await read('score', '?limit=0')).keyPartition, undefined)
})

test('what was not read is named with the reason; if that is all, the answer is an error', async () => {
  await begin('half', ({ instance }) =>
    instance === 'half-1' ? { ok: false, message: 'half-1 ends' } : has(instance, halves[0]!.slice(1)),
  )
  const half = await read('half', '?limit=0')
  assert.deepEqual(half.unread, [
    { partitions: halves[1], why: 'half-1: half-1 ends' },
    {
      partitions: [0],
      why: 'no instance has them now: they move, or their instance starts or is not wanted',
    },
  ])
  const refused = async (name: string, query = '') => {
    const { status, code, detail } = await read(name, query)
    return `${status} ${code} ${detail}`
  }
  assert.equal(
    await refused('half', '?key=k&partition=1'),
    "503 ERR_STATE_UNREAD Cannot read the state of 'half': half-1: half-1 ends.",
  )
  await begin('taken', ({ instance }) =>
    instance === 'taken-1'
      ? { ok: false, message: 'it ends' }
      : has(instance, [...halves[0]!, ...halves[1]!]),
  )
  assert.deepEqual((await read('taken', '?limit=0')).unread, [], 'another one has read all that it had')
  await begin('silent')
  assert.match(
    await refused('silent', '?key=k'),
    /^503 ERR_STATE_UNREAD .*silent-0: its runner does not answer/,
  )
  assert.equal(
    (await platform.call('POST', '/v1/functions', { body: sourceOf('idle', ['words'], []) })).status,
    200,
  )
  assert.match(
    await refused('idle', '?limit=1'),
    /^503 ERR_STATE_UNREAD .*no instance with what is asked for is at work/,
  )
  assert.match(await refused('scoer'), /^404 ERR_FUNCTION_UNKNOWN/)
  assert.equal(
    await refused('half', '?key=k&partition=16'),
    "404 ERR_PARTITION_UNKNOWN Cannot read partition 16 of the state of 'half': its inputs have the partitions 0 to 15.",
  )
  for (const query of [
    ...['?key=a&keyBase64=YQ==', '?keyBase64=*', '?partition=x', '?kye=a', '?key=a&prefix=b'],
    ...['?key=a&cursor=0.0.0', '?limit=1001', '?prefix=a', '?cursor=0.0.0'],
    ...[
      '?limit=1&cursor=0.0.123456789',
      '?limit=1&cursor=x',
      '?limit=1&cursor=9.9.ff',
      '?limit=1&cursor=0.16.0',
    ],
  ])
    assert.match(await refused('half', query), /^400 ERR_REQUEST_INVALID/, query)
  assert.ok(
    platform.logged.every((line) => !line.includes('card')),
    'no key is logged',
  )
})

test('a runner of an earlier build, which lists nothing, is named as unread', async () => {
  /** It reads no `list`, and tells how much all its partitions have. */
  const early = ({ instance }: StateAsk): StateAnswer => has(instance)
  await begin('early', early)
  const why = (id: string) =>
    `${id}: its runner is of an earlier build, which lists nothing: it can say what a key has`
  const { code, detail } = await read('early', '?limit=9')
  assert.equal(code, 'ERR_STATE_UNREAD')
  assert.equal(detail, `Cannot read the state of 'early': ${why('early-0')}; ${why('early-1')}.`)
  const keys = listing(['a'])
  await begin('mixed', (ask) => (ask.instance === 'mixed-1' ? early(ask) : keys(ask)))
  const mixed = await read('mixed', '?limit=100')
  assert.deepEqual(mixed.unread, [{ partitions: halves[1], why: why('mixed-1') }])
  assert.equal(listedIn(mixed).length, 8)
})

/** An instance with these keys in each partition, two by two; their places are their numbers. */
function listing(keys: readonly string[], ofBroadcast = false): (ask: StateAsk) => StateAnswer {
  return ({ instance, list }) => {
    const { partition, from, limit, isOwn, prefix = '' } = list!
    const isMine = isOwn ?? halves[Number(instance.at(-1))]!.includes(partition)
    if (!isMine || (isOwn ?? false) !== ofBroadcast)
      return { ok: true, version: 1, readAtMs: 5, partitions: [] }
    const wanted = keys.filter(
      (key, place) => place >= from && key.startsWith(Buffer.from(prefix, 'base64').toString()),
    )
    const listed = wanted.slice(0, Math.min(2, limit)).map((key) => ({ key, counter: { value: partition } }))
    const next = keys.indexOf(listed.at(-1)?.key ?? keys.at(-1)!) + 1
    return {
      ...{ ok: true, version: 1, readAtMs: 5, ...(next < keys.length && { next }) },
      partitions: [{ partition, ...(isOwn && { isOwn }), entries: keys.length, bytes: 9, timers: 0, listed }],
    }
  }
}

const listedIn = ({ instances }: FunctionState): string[] =>
  instances.flatMap(({ instance, partitions }) =>
    partitions.flatMap(({ partition, listed = [] }) =>
      listed.map(({ key }) => `${instance.at(-1)}/${partition}/${key}`),
    ),
  )

test('what is stored is listed partition by partition, in pages that begin where the one before has ended', async () => {
  await begin('listed', listing(['a', 'b', 'ab']))
  const pages: string[][] = []
  let cursor: string | undefined
  do {
    const page = await read('listed', `?limit=7${cursor === undefined ? '' : `&cursor=${cursor}`}`)
    pages.push(listedIn(page))
    ;({ cursor } = page)
  } while (cursor !== undefined)
  assert.deepEqual(pages[0], ['0/0/a', '0/0/b', '0/0/ab', '1/1/a', '1/1/b', '1/1/ab', '0/2/a'])
  assert.deepEqual(pages[1]!.slice(0, 3), ['0/2/b', '0/2/ab', '1/3/a'])
  assert.equal(new Set(pages.flat()).size, 48)
  assert.deepEqual(
    pages.map(({ length }) => length),
    [7, 7, 7, 7, 7, 7, 6],
  )
  assert.deepEqual(listedIn(await read('listed', '?limit=9&prefix=a&partition=3')), ['1/3/a', '1/3/ab'])
  assert.equal((await read('listed', '?limit=9&prefix=a&partition=3')).cursor, undefined)
  assert.deepEqual((await read('listed', '?limit=1&partition=3')).cursor, '0.3.1')
  assert.match(
    (await read('listed', '?limit=1&partition=3&cursor=0.9.0')).detail,
    /^Cannot list partition 3 of the state of 'listed' from '0\.9\.0': that cursor is of partition 9\.$/,
  )
})

test('without a key and a limit the answer is how much there is, as clients of earlier builds expect', async () => {
  await begin('sized', ({ instance }) => has(instance))
  asks.length = 0
  const { instances, cursor } = await read('sized')
  assert.equal(instances.flatMap(({ partitions }) => partitions).length, 16)
  assert.equal(cursor, undefined)
  assert.ok(asks.every(({ list }) => list === undefined))
})

test('a list goes past what cannot be read, and names it', async () => {
  const keys = listing(['a'])
  await begin('gaps', (ask) =>
    ask.list!.partition === 2
      ? { ok: false, message: 'no' }
      : ask.list!.partition === 5
        ? { ok: true, version: 1, readAtMs: 5, partitions: [] }
        : keys(ask),
  )
  const { unread, instances } = await read('gaps', '?limit=100')
  assert.deepEqual(unread, [
    { partitions: [2], why: 'gaps-0: no' },
    {
      partitions: [5],
      why: 'no instance has them now: they move, or their instance starts or is not wanted',
    },
  ])
  assert.equal(listedIn({ function: 'gaps', instances, unread: [] }).length, 14)
  assert.match((await read('gaps', '?limit=100&partition=2')).detail, /gaps-0: no/)
})
