import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { Wire } from '../../infra/bus/index.ts'
import { ManualClock } from '../../infra/clock.ts'
import { followerName } from '../../infra/control/index.ts'
import {
  type FollowerDocument,
  openStore,
  paths,
  type Store,
  type StoredDocument,
} from '../../infra/store/index.ts'
import { HoldingFollower, type HoldOptions } from './hold.ts'

const [namespace, stream] = ['n', 's']

/** Readers of one stream, each by a gateway of its own, and producers that hear of one when the test says so. */
class Readers {
  readonly clock = new ManualClock(1_000)
  readonly store: Store
  readonly #heeded = new Set<string>()
  /** Who was told of by the time that a document went away. */
  readonly removed = new Map<string, readonly string[]>()
  /** By document, how often somebody has looked at it or removed it. */
  readonly #touched = new Map<string, number>()
  readonly troubles: string[] = []
  #count = 0

  private constructor(store: Store) {
    this.store = store
    const { get, remove } = store
    store.get = async <T>(path: string) => {
      const found = await get.call(store, path)
      this.#touched.set(path, this.touched(path) + 1)
      return found as StoredDocument<T> | undefined
    }
    store.remove = async (path, version) => {
      await remove.call(store, path, version)
      this.removed.set(path.split('/').at(-1)!, [...this.#heeded])
    }
  }

  static async begin(t: TestContext): Promise<Readers> {
    const dir = await mkdtemp(join(tmpdir(), 'concord-hold-'))
    const store = await openStore(`sqlite:${join(dir, 'store.sqlite')}`)
    t.after(async () => {
      await store.close()
      await rm(dir, { recursive: true })
    })
    return new Readers(store)
  }

  /** All producers know of it from now on. */
  heed(id: string): void {
    this.#heeded.add(followerName(id))
  }

  touched(path: string): number {
    return this.#touched.get(path) ?? 0
  }

  documents(): Promise<string[]> {
    return this.store.list(paths.followers(namespace, stream))
  }

  async open(instead?: string): Promise<Reader> {
    const nothing = (): void => undefined
    const wire: Wire = {
      connected: true,
      publish: nothing,
      subscribe: () => nothing,
      flush: async () => undefined,
      onReconnect: () => nothing,
    }
    const catalog = {
      current: {
        streams: new Map([[stream, { document: { partitions: 1 }, producers: [] }]]),
        functions: new Map(),
      },
      refresh: async () => undefined,
    }
    const gone = new AbortController()
    const isFirst = instead === undefined
    const follower = await HoldingFollower.open({
      ...{ wire, namespace, stream, store: this.store, clock: this.clock, instead, signal: gone.signal },
      gatewayId: `gateway-${this.#count++}`,
      catalog: catalog as never as HoldOptions['catalog'],
      heartbeats: { ofClients: () => [] } as never as HoldOptions['heartbeats'],
      ingest: {
        heeds: (_stream: string, name: string) => isFirst || this.#heeded.has(name),
      } as never as HoldOptions['ingest'],
      closing: new AbortController().signal,
      onError: (error) => this.troubles.push(`${error}`),
    })
    const lines = follower.lines()
    const [ready] = [...(await lines.next()).value!] as unknown as [{ reader: string; resumed: boolean }]
    const ended = lines.next().then(({ done }) => done)
    const close = (): Promise<void> => {
      gone.abort()
      return follower.close()
    }
    return { id: ready.reader, resumed: ready.resumed, ended, close }
  }
}

interface Reader {
  readonly id: string
  readonly resumed: boolean
  readonly ended: Promise<boolean | undefined>
  /** Its client goes. */
  readonly close: () => Promise<void>
}

async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await holds())) await new Promise(setImmediate)
}

test('HoldingFollower: the stream waits for a reader until both that continue for it are known (H5)', async (t) => {
  const readers = await Readers.begin(t)
  const first = await readers.open()
  const [second, third] = await Promise.all([readers.open(first.id), readers.open(first.id)])
  assert.deepEqual([second.resumed, third.resumed], [true, true])
  const path = paths.follower(namespace, stream, first.id)
  for (const { id } of [second, third]) {
    const before = readers.touched(path)
    readers.heed(id)
    await until(() => readers.removed.has(first.id) || readers.touched(path) > before)
  }
  await until(() => readers.removed.has(first.id))
  assert.equal(readers.removed.get(first.id)?.length, 2, 'nobody has let go of the first before')
  await Promise.all([second, third, first].map(({ close }) => close()))
  assert.deepEqual(await readers.documents(), [])
  assert.deepEqual(readers.troubles, [])
})

test('HoldingFollower: a reader whose client is gone leaves its document to the one that continues for it', async (t) => {
  const readers = await Readers.begin(t)
  const first = await readers.open()
  const second = await readers.open(first.id)
  await first.close()
  assert.deepEqual(readers.removed.size, 0, 'nobody knows the second yet')
  readers.heed(second.id)
  await until(() => readers.removed.has(first.id))
  assert.deepEqual(await readers.documents(), [second.id])
  await second.close()
  assert.deepEqual(readers.troubles, [])
})

test('HoldingFollower: a reader that another one has replaced ends at its next renewal and does not recreate its document', async (t) => {
  const readers = await Readers.begin(t)
  const first = await readers.open()
  const second = await readers.open(first.id)
  readers.heed(second.id)
  await until(() => readers.removed.has(first.id))
  readers.clock.advance(3_000)
  assert.equal(await first.ended, true)
  assert.deepEqual(await readers.documents(), [second.id])
  await second.close()
  assert.deepEqual(readers.troubles, [])
})

test('HoldingFollower: a reader whose client leaves early passes the earlier reader on to the next one', async (t) => {
  const readers = await Readers.begin(t)
  const first = await readers.open()
  const second = await readers.open(first.id)
  await second.close()
  const third = await readers.open(first.id)
  assert.equal(third.resumed, true)
  readers.heed(third.id)
  await until(() => readers.removed.has(first.id))
  assert.deepEqual(await readers.documents(), [third.id])
  await third.close()
  assert.deepEqual(readers.troubles, [])
})

test('HoldingFollower: a reader that was replaced does not remove its document when the one that replaced it left early', async (t) => {
  const readers = await Readers.begin(t)
  const first = await readers.open()
  const second = await readers.open(first.id)
  await second.close()
  readers.clock.advance(3_000)
  assert.equal(await first.ended, true)
  await first.close()
  const third = await readers.open(first.id)
  assert.equal(third.resumed, true)
  await third.close()
  assert.deepEqual(readers.troubles, [])
})

test('HoldingFollower: whom one goes on for is not overdue while somebody does not know it, and is when the store was away', async (t) => {
  const readers = await Readers.begin(t)
  const first = await readers.open()
  const path = paths.follower(namespace, stream, first.id)
  const renewed = async () => (await readers.store.get<FollowerDocument>(path))?.value.renewedAtMs
  const second = await readers.open(first.id)
  readers.clock.advance(3_000)
  await until(async () => (await renewed()) === 4_000)
  const { remove } = readers.store
  readers.store.remove = () => Promise.reject(new Error('the store is away'))
  const before = readers.troubles.length
  readers.heed(second.id)
  await until(() => readers.troubles.length > before)
  readers.store.remove = remove
  const own = paths.follower(namespace, stream, second.id)
  // The second renewal begins when the first one is over.
  let renewals = 0
  for (let lastMs = 4_000; renewals < 2; ) {
    readers.clock.advance(3_000)
    const { renewedAtMs = 0 } = (await readers.store.get<FollowerDocument>(own))?.value ?? {}
    if (renewedAtMs > lastMs) renewals++
    lastMs = renewedAtMs
  }
  assert.equal(await renewed(), 4_000, 'nobody renews it any more')
  await second.close()
})
