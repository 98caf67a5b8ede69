import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { systemClock } from '../infra/clock.ts'
import {
  type FunctionDocument,
  type OutcomeDocument,
  openStore,
  paths,
  upsert,
} from '../infra/store/index.ts'
import { Performer, type PerformerOptions } from './performer.ts'

test('Performer asks no receivers over a closed connection', async () => {
  const published: string[] = []
  const asked = async (isClosed: boolean): Promise<number> => {
    const nc = { isClosed: () => isClosed, publish: (subject: string) => published.push(subject) }
    const failed = (error: Error) => assert.fail(error)
    const options = { namespace: 'test', nc, clock: systemClock, failed } as unknown as PerformerOptions
    const performer = new Performer(options)
    const gone = [{ name: 'f', index: 0, firstEpoch: 1, epoch: 1 }]
    performer.perform([{ kind: 'askReceivers', gone }])
    await performer.close()
    return published.length
  }
  assert.deepEqual([await asked(true), await asked(false)], [0, 1])
})

test('Performer settles a version only while it is wanted, so that a later decision by a person stands', async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'concord-performer-'))
  const store = await openStore(`sqlite:${join(dir, 'store.sqlite')}`)
  t.after(async () => {
    await store.close()
    await rm(dir, { recursive: true })
  })
  const failed = (error: Error) => assert.fail(error)
  const options = { namespace: 'test', store, clock: systemClock, failed } as Partial<PerformerOptions>
  const settle = async (good: number, outcome: Pick<OutcomeDocument, 'state' | 'atMs' | 'reason'>) => {
    const performer = new Performer(options as PerformerOptions)
    const whole = { schema: 1, version: 2, ...outcome } as const
    performer.perform([{ kind: 'settleVersion', function: 'score', good, outcome: whole }])
    await performer.close()
    return (await store.get<OutcomeDocument>(path))!.value
  }
  const path = paths.outcome('test', 'score', 2)
  const wanted = { schema: 1, version: 1, good: 2, instances: 1, createdAtMs: 0 } satisfies FunctionDocument
  await store.create(paths.function('test', 'score'), wanted)
  const left: OutcomeDocument = { schema: 1, version: 2, state: 'rolledBack', atMs: 5, by: 'ada' }
  await store.create(path, left)

  assert.deepEqual(await settle(2, { state: 'live', atMs: 7 }), left)
  assert.equal((await store.get<FunctionDocument>(paths.function('test', 'score')))?.value.version, 1)

  const failure = { atMs: 7, reason: 'it threw' }
  assert.equal((await settle(1, { state: 'failed', ...failure })).state, 'failed')
  await upsert<FunctionDocument>(store, paths.function('test', 'score'), () => ({ ...wanted, version: 2 }))
  const { state, failed: had } = await settle(2, { state: 'live', atMs: 9 })
  assert.deepEqual([state, had], ['live', failure], 'that it has failed is never forgotten')
})
