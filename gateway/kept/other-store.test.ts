/** Two stores on one NATS and namespace, and a store that was begun anew beside a NATS that was kept. */
import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { jetstream, jetstreamManager } from '@nats-io/jetstream'
import { subjects } from '../../infra/bus/index.ts'
import { functionsWithCheckpoints, namespacesOfOthers } from '../../infra/checkpoints/index.ts'
import { openStore, storeIdOf } from '../../infra/store/index.ts'
import { namespace, type Platform, startPlatform, until } from '../testing/platform.ts'

async function setUp(t: TestContext) {
  const platform = await startPlatform()
  const dir = await mkdtemp(join(tmpdir(), 'concord-other-'))
  const url = `sqlite:${join(dir, 'store.sqlite')}`
  const store = await openStore(url)
  t.after(async () => {
    await platform.close()
    await store.close()
    await rm(dir, { recursive: true })
  })
  return { platform, other: { url, store, id: await storeIdOf(store) } }
}

/** Something is kept of a function that no store knows. */
async function keep({ nc }: Platform, name: string): Promise<void> {
  await jetstream(nc).publish(subjects.checkpointManifestSubject(namespace, name, 's0'), 'state')
}

test('a store has an id of its own, made once', async (t) => {
  const { platform, other } = await setUp(t)
  assert.match(other.id, /^[0-9a-f]{16}$/)
  const again = await openStore(other.url)
  t.after(() => again.close())
  assert.deepEqual(await Promise.all([again, other.store].map(storeIdOf)), [other.id, other.id])
  assert.notEqual(await storeIdOf(platform.store), other.id)
})

test('a gateway of another store is refused and deletes nothing, unless it is told to replace the old store', async (t) => {
  const { platform, other } = await setUp(t)
  const id = await storeIdOf(platform.store)
  await platform.gateway.close()
  await keep(platform, 'kept')
  await assert.rejects(platform.another({ store: other.store }), (error: Error & { code?: string }) => {
    assert.equal(error.code, 'ERR_OTHER_STORE')
    assert.match(error.message, new RegExp(`belongs to the store ${id}, and this is the store ${other.id}`))
    assert.match(error.message, new RegExp(`Nothing was changed.*CONCORD_STORE_REPLACES=${id}`))
    return true
  })
  await assert.rejects(
    platform.another({ store: other.store, replacesStore: other.id }),
    /belongs to the store/,
  )
  assert.deepEqual(await functionsWithCheckpoints(platform.nc, namespace), ['kept'])
  assert.deepEqual(
    await namespacesOfOthers(platform.nc, other.id),
    [namespace],
    'so it removes no bundles either',
  )

  await platform.another({ store: other.store, replacesStore: id })
  await until('what nobody knows is swept', async () => {
    return (await functionsWithCheckpoints(platform.nc, namespace)).length === 0
  })
  await assert.rejects(platform.another(), new RegExp(`belongs to the store ${other.id}`))
  await platform.another({ namespace: 'elsewhere' })
  assert.deepEqual(await namespacesOfOthers(platform.nc, other.id), ['elsewhere'])
})

test('a gateway does not mark a namespace again whose mark is gone, until it is told that the state is given up', async (t) => {
  const { platform } = await setUp(t)
  const id = await storeIdOf(platform.store)
  const marks = async (): Promise<string[]> => await namespacesOfOthers(platform.nc, 'nobody')
  assert.deepEqual(await marks(), [namespace])
  await platform.gateway.close()
  await (await jetstreamManager(platform.nc)).streams.purge('concord-checkpoints')
  await platform.another() // it serves
  assert.deepEqual(await marks(), [])
  await platform.another({ replacesStore: id })
  assert.deepEqual(await marks(), [namespace])

  await (await jetstreamManager(platform.nc)).streams.purge('concord-checkpoints')
  await platform.another({ replacesStore: id }) // the setting was left: it gives up nothing again (MK4)
  assert.deepEqual(await marks(), [])
  await platform.another({ replacesStore: `${id}.2` })
  assert.deepEqual(await marks(), [namespace])
})
