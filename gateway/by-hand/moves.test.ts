import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { type FunctionDocument, paths, type StatusDocument } from '../../infra/store/index.ts'
import type { FunctionDetail, Problem } from '../../sdk/api/index.ts'
import type { MoveAnswer } from '../../sdk/api/moved.ts'
import { namespace, type Platform, sourceOf, startPlatform } from '../testing/platform.ts'

let platform: Platform
before(async () => {
  platform = await startPlatform()
})
after(() => platform.close())

async function move(name: string, wish: object): Promise<{ status: number; body: MoveAnswer & Problem }> {
  const headers = { 'content-type': 'application/json' }
  const path = `/v1/functions/${name}/partitions`
  const answer = await platform.call('PATCH', path, { headers, body: JSON.stringify(wish) })
  return { status: answer.status, body: (await answer.json()) as MoveAnswer & Problem }
}

async function deploy(source: string): Promise<void> {
  assert.equal((await platform.call('POST', '/v1/functions', { body: source })).status, 200)
}

async function document(name: string): Promise<FunctionDocument> {
  return (await platform.store.get<FunctionDocument>(paths.function(namespace, name)))!.value
}

/** A function with two instances, and one that is on its way out. */
async function begin(name: string): Promise<void> {
  await deploy(sourceOf(name, ['words'], []))
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
    instances: [
      { id: `${name}-0`, index: 0, ...at, shares: [0, 1, 2] },
      { id: `${name}-4`, index: 4, ...at },
      { id: `${name}-5`, index: 5, ...at, retiring: true },
    ],
    ended: { recordsIn: 0, recordsOut: 0, errors: 0, outputs: [] },
  }
  await platform.store.create(paths.status(namespace, name), status)
}

test('partitions moved by hand are stored, survive deploys, and are shown', async () => {
  await begin('score')
  const first = await move('score', { partitions: [3, 7], to: 'score-4' })
  const moved = [
    { partition: 3, instance: 'score-4' },
    { partition: 7, instance: 'score-4' },
  ]
  assert.deepEqual([first.status, first.body], [200, { homes: moved, changed: [3, 7] }])
  assert.deepEqual(
    (await move('score', { partitions: [7], to: 'score-0' })).body.homes[1]!.instance,
    'score-0',
  )
  await deploy(sourceOf('score', ['words'], ['more']))
  const { version, homes: kept } = await document('score')
  assert.deepEqual([version, kept], [2, { 3: 4, 7: 0 }])
  const detail = (await (await platform.call('GET', '/v1/functions/score')).json()) as FunctionDetail
  assert.deepEqual(
    detail.homes?.map(({ instance }) => instance),
    ['score-4', 'score-0'],
  )
  assert.deepEqual(
    detail.instances.map(({ partitions }) => partitions),
    [[0, 1, 2], undefined, undefined],
  )
  assert.deepEqual((await move('score', { partitions: [3, 9], back: true })).body.homes.length, 1)
  assert.deepEqual((await move('score', { back: true })).body, { homes: [], changed: [7] })
  assert.deepEqual((await move('score', { partitions: [7], back: true })).body, { homes: [], changed: [] })
  assert.equal((await document('score')).homes, undefined)
})

test('a move of an unknown partition, or to an unknown instance, is refused with those that exist', async () => {
  await begin('refused')
  const refusal = async (name: string, wish: object) => {
    const { status, body } = await move(name, wish)
    return `${status} ${body.code} ${body.detail}`
  }
  assert.match(await refusal('never', { partitions: [1], to: 'never-0' }), /^404 ERR_FUNCTION_UNKNOWN/)
  assert.match(
    await refusal('refusd', { partitions: [1], to: 'refused-0' }),
    /^404 .* Did you mean 'refused'\?/,
  )
  for (const to of ['refused-1', 'refused-5', 'other-0'])
    assert.equal(
      await refusal('refused', { partitions: [1], to }),
      `404 ERR_INSTANCE_UNKNOWN Cannot move partitions of 'refused' to '${to}': it has refused-0, refused-4. \`concord fn scale refused N\` gives it more.`,
    )
  assert.equal(
    await refusal('refused', { partitions: [1, 16], to: 'refused-0' }),
    "404 ERR_PARTITION_UNKNOWN Cannot move partition 16 of 'refused': its inputs have the partitions 0 to 15.",
  )
  for (const wish of [
    {},
    { partitions: [], to: 'refused-0' },
    { partitions: [1] },
    { partitions: [-1], to: 'refused-0' },
    { to: 'refused-0' },
  ])
    assert.match(await refusal('refused', wish), /^400 ERR_REQUEST_INVALID/, JSON.stringify(wish))
  assert.equal((await document('refused')).homes, undefined)
})
