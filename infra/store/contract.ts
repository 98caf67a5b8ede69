/**
 * Contract: the contract of a store as tests, which every implementation passes (DO1–DO3 of store.ts).
 * @module
 */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import fc from 'fast-check'
import { paths } from './documents.ts'
import { documentBytesMax } from './limits.ts'
import { openStore, type StoreSettings } from './open.ts'
import { type Store, upsert } from './store.ts'

export interface ContractOptions {
  /** How many changes a watcher in another process has to follow. */
  readonly changes?: number
  /** Within how many milliseconds the leadership of a killed process becomes free. */
  readonly freedMs?: number
}

/**
 * @param name Prefix of each test's name.
 * @param fresh Returns the settings of an empty store, to be torn down after the test.
 */
export function storeContract(
  name: string,
  fresh: (t: TestContext) => Promise<StoreSettings>,
  { changes = 5_000, freedMs = 5_000 }: ContractOptions = {},
): void {
  const contractTest = (title: string, run: (t: TestContext, settings: StoreSettings) => Promise<void>) =>
    test(`${name} ${title}`, { timeout: 120_000 }, async (t) => run(t, await fresh(t)))

  contractTest('keeps documents with versions that grow by one', async (t, settings) => {
    const store = await opened(t, settings)
    assert.equal(await store.get('/a/b'), undefined)
    assert.equal(await store.create('/a/b', { n: 1 }), 0)
    assert.equal(await store.update('/a/b', { n: 2 }, 0), 1)
    assert.deepEqual(await store.get('/a/b'), { value: { n: 2 }, version: 1 })
    await store.remove('/a/b', 1)
    assert.equal(await store.get('/a/b'), undefined)
    assert.equal(await store.create('/a/b', 'again'), 0)
    await store.remove('/a/b')
  })

  contractTest(
    'refuses a write that does not match the current version of the node (DO1)',
    async (t, settings) => {
      const store = await opened(t, settings)
      await store.create('/a', 1)
      await store.update('/a', 2, 0)
      await refuses('ERR_STORE_EXISTS', store.create('/a', 3))
      await refuses('ERR_STORE_CONFLICT', store.update('/a', 3, 0))
      await refuses('ERR_STORE_CONFLICT', store.update('/a', 3, 2))
      await refuses('ERR_STORE_CONFLICT', store.remove('/a', 0))
      await refuses('ERR_STORE_NOT_FOUND', store.update('/b', 3, 0))
      await refuses('ERR_STORE_NOT_FOUND', store.remove('/b'))
      assert.deepEqual(await store.get('/a'), { value: 2, version: 1 })
    },
  )

  contractTest('refuses a document one byte too large, in UTF-8', async (t, settings) => {
    const store = await opened(t, settings)
    const largest = 'é'.repeat((documentBytesMax - 2) / 2) // two bytes each, and the quotes
    await store.create('/fits', largest)
    assert.equal((await store.get('/fits'))?.value, largest)
    await refuses('ERR_STORE_TOO_LARGE', store.create('/large', `${largest}a`))
    await refuses('ERR_STORE_TOO_LARGE', store.update('/fits', `${largest}a`, 0))
    await assert.rejects(store.create('/nothing', undefined), TypeError)
    assert.deepEqual(await store.list('/'), ['fits', 'schema'])
  })

  contractTest('refuses paths that some stores cannot hold', async (t, settings) => {
    const store = await opened(t, settings)
    const bad = [
      '',
      '/',
      'a',
      '/a/',
      '//a',
      '/a//b',
      '/.',
      '/a/..',
      '/a b',
      '/-a',
      '/é',
      `/${'x'.repeat(512)}`,
      '/a\0',
    ]
    for (const path of bad) {
      await refuses('ERR_STORE_PATH', store.create(path, 1))
      await refuses('ERR_STORE_PATH', store.get(path))
    }
    await refuses('ERR_STORE_PATH', store.lead('../x', new AbortController().signal))
    assert.throws(() => store.watch('/a/', () => {}), { code: 'ERR_STORE_PATH' })
  })

  contractTest('lists children by name, whether or not their parents are documents', async (t, settings) => {
    const store = await opened(t, settings)
    for (const path of ['/a/b/c', '/a/b-d', '/a/b.e', '/a/b/f/g', '/a', '/ab', '/a/b0'])
      await store.create(path, 1)
    assert.deepEqual(await store.list('/a'), ['b', 'b-d', 'b.e', 'b0'])
    assert.deepEqual(await store.list('/a/b'), ['c', 'f'])
    assert.deepEqual(await store.list('/a/b-d'), [])
    assert.deepEqual(await store.list('/nowhere'), [])
    assert.deepEqual(await store.list('/'), ['a', 'ab', 'schema'])
    await store.remove('/a/b/c')
    await store.remove('/a/b/f/g')
    assert.deepEqual(await store.list('/a'), ['b-d', 'b.e', 'b0'])
  })

  contractTest('returns any JSON value unchanged', async (t, settings) => {
    const store = await opened(t, settings)
    await fc.assert(
      fc.asyncProperty(fc.jsonValue(), async (value) => {
        await upsert(store, '/value', () => value)
        assert.deepEqual((await store.get('/value'))?.value, JSON.parse(JSON.stringify(value)))
      }),
      { numRuns: 100 },
    )
  })

  contractTest(
    'behaves like a map under any sequence of operations, on two connections',
    async (t, settings) => {
      const stores = [await opened(t, settings), await opened(t, settings)] as const
      let run = 0
      await fc.assert(
        fc.asyncProperty(fc.array(operation, { maxLength: 40 }), async (operations) => {
          const root = `/run-${run++}`
          const model: Model = new Map()
          for (const { by, ...op } of operations) {
            const found = await outcome(applyToStore(stores[by]!, root, op))
            assert.deepEqual(found, applyToModel(model, op), JSON.stringify(op))
          }
        }),
        { numRuns: 50 },
      )
    },
  )

  contractTest(
    'calls a watcher at its start and after each change that it covers (DO2)',
    async (t, settings) => {
      const [store, other] = [await opened(t, settings), await opened(t, settings)]
      const seen = new Calls()
      const stop = store.watch('/w', () => seen.call())
      assert.equal(seen.count, 0, 'not from inside watch')
      await seen.after(0)
      for (const change of [
        () => store.create('/w', 1),
        () => store.create('/w/deep/er', 1),
        () => other.update('/w', 2, 0),
        () => other.remove('/w/deep/er'),
      ]) {
        const before = seen.count
        await change()
        await seen.after(before)
      }
      stop()
      const before = seen.count
      const control = new Calls()
      store.watch('/w', () => control.call())
      await control.after(0)
      await other.create('/w/late', 1)
      await control.after(1)
      assert.equal(seen.count, before, 'stopped')
    },
  )

  contractTest('does not call a watcher for changes beside its path', async (t, settings) => {
    const store = await opened(t, settings)
    const [beside, all] = [new Calls(), new Calls()]
    store.watch('/w', () => beside.call())
    store.watch('/', () => all.call())
    await beside.after(0)
    const before = all.count
    await store.create('/ww', 1)
    await all.after(before)
    assert.equal(beside.count, 1)
  })

  contractTest('calls watchers in another process, however many changes there were', async (t, settings) => {
    const store = await opened(t, settings)
    const watcher = await child(t, settings, ['watch', '/number'])
    assert.equal(await watcher.line(), 'nothing')
    await store.create('/number', 0)
    for (let version = 0; version < changes; version++) await store.update('/number', version + 1, version)
    for (;;) if ((await watcher.line()) === String(changes)) break
  })

  contractTest('loses no update of concurrent processes (DO1)', async (t, settings) => {
    const [processes, times] = [3, 150]
    const counters = await Promise.all(
      Array.from({ length: processes }, () => child(t, settings, ['count', '/counter', String(times)])),
    )
    await Promise.all(counters.map((counter) => counter.exited))
    const store = await opened(t, settings)
    assert.deepEqual(await store.get('/counter'), {
      value: processes * times,
      version: processes * times - 1,
    })
  })

  contractTest(
    'gives the leadership to one at a time, each with a higher epoch (DO3)',
    async (t, settings) => {
      const [store, other] = [await opened(t, settings), await opened(t, settings)]
      const never = new AbortController().signal
      const first = await store.lead('scheduler', never)
      let second: Awaited<ReturnType<Store['lead']>> | undefined
      const waiting = other.lead('scheduler', never).then((leadership) => (second = leadership))
      const elsewhere = await other.lead('ingest', never)
      assert.equal(second, undefined)
      assert.equal(first.lost.aborted, false)
      await first.release()
      assert.equal(first.lost.aborted, true)
      const { epoch, lost } = await waiting
      assert.ok(epoch > first.epoch)
      assert.equal(lost.aborted, false)
      await other.close()
      assert.deepEqual([lost.aborted, elsewhere.lost.aborted], [true, true])
      assert.ok((await store.lead('scheduler', never)).epoch > epoch)
    },
  )

  contractTest('lets a leader write while it leads, and not afterwards (DO4)', async (t, settings) => {
    const store = await opened(t, settings)
    const first = await store.lead('scheduler', new AbortController().signal)
    await first.store.create('/mine', 1)
    await first.store.update('/mine', 2, 0)
    await first.seal()
    assert.deepEqual(await store.get('/mine'), { value: 2, version: 1 })
    await first.release()
    for (const write of [
      () => first.store.create('/late', 1),
      () => first.store.update('/mine', 3, 1),
      () => first.store.remove('/mine'),
    ])
      await assert.rejects(write)
    const second = await store.lead('scheduler', new AbortController().signal)
    assert.deepEqual(await second.store.get('/mine'), { value: 2, version: 1 })
    await second.store.update('/mine', 3, 1)
    await second.seal()
    assert.deepEqual(await store.get('/mine'), { value: 3, version: 2 })
    assert.deepEqual(await store.list('/'), ['mine', 'schema'])
  })

  contractTest('tells whether somebody leads, or waits to', async (t, settings) => {
    const [store, other] = [await opened(t, settings), await opened(t, settings)]
    const never = new AbortController().signal
    assert.equal(await store.isLed('scheduler'), false, 'nobody has ever')
    const first = await other.lead('scheduler', never)
    assert.deepEqual([await store.isLed('scheduler'), await other.isLed('scheduler')], [true, true])
    assert.deepEqual([await store.isLed('ingest'), first.lost.aborted], [false, false])
    await first.release()
    assert.equal(await store.isLed('scheduler'), false)
    await refuses('ERR_STORE_PATH', store.isLed('../x'))
  })

  contractTest('stops waiting for the leadership when aborted or closed', async (t, settings) => {
    const [store, other] = [await opened(t, settings), await opened(t, settings)]
    await store.lead('scheduler', new AbortController().signal)
    const told = new AbortController()
    const reason = new Error('no longer needed')
    const waiting = other.lead('scheduler', told.signal)
    told.abort(reason)
    await assert.rejects(waiting, reason)
    await assert.rejects(other.lead('scheduler', told.signal), reason)
    const closed = refuses('ERR_STORE_CLOSED', other.lead('scheduler', new AbortController().signal))
    await other.close()
    await closed
  })

  contractTest(
    'frees the leadership of a killed process, not that of a stopped one (DO3)',
    async (t, settings) => {
      const store = await opened(t, settings)
      const holder = await child(t, settings, ['lead', 'scheduler'])
      const epoch = Number(await holder.line())
      holder.process.kill('SIGSTOP')
      await assert.rejects(store.lead('scheduler', AbortSignal.timeout(300)), { name: 'TimeoutError' })
      const waiting = store.lead('scheduler', AbortSignal.timeout(freedMs))
      holder.process.kill('SIGKILL')
      await holder.exited
      assert.ok((await waiting).epoch > epoch)
    },
  )

  contractTest('keeps its documents when all have closed it', async (t, settings) => {
    const first = await openStore(settings)
    await first.create('/kept', 'yes')
    const { epoch } = await first.lead('scheduler', new AbortController().signal)
    await first.close()
    await refuses('ERR_STORE_CLOSED', first.get('/kept'))
    await first.close()
    const second = await opened(t, settings)
    assert.deepEqual(await second.get('/kept'), { value: 'yes', version: 0 })
    assert.ok((await second.lead('scheduler', new AbortController().signal)).epoch > epoch)
  })

  contractTest('refuses to open a store of a later or unknown build', async (t, settings) => {
    const store = await opened(t, settings)
    assert.deepEqual(await store.get(paths.schema), { value: { schema: 1 }, version: 0 })
    await store.update(paths.schema, { schema: 2 }, 0)
    await refuses('ERR_STORE_SCHEMA', openStore(settings))
    await store.update(paths.schema, { schema: 0 }, 1)
    await refuses('ERR_STORE_SCHEMA', openStore(settings))
  })
}

async function opened(t: TestContext, settings: StoreSettings): Promise<Store> {
  const store = await openStore(settings)
  t.after(() => store.close())
  return store
}

function refuses(code: string, promise: Promise<unknown>): Promise<void> {
  return assert.rejects(promise, { code })
}

/** Counts calls, and lets a test wait for the next. */
class Calls {
  count = 0
  #wake = Promise.withResolvers<void>()

  call(): void {
    this.count++
    this.#wake.resolve()
    this.#wake = Promise.withResolvers()
  }

  async after(count: number): Promise<void> {
    while (this.count <= count) await this.#wake.promise
  }
}

interface Child {
  readonly process: ChildProcess
  /** The next line that it says. */
  line(): Promise<string>
  readonly exited: Promise<unknown>
}

async function child(t: TestContext, settings: StoreSettings, args: string[]): Promise<Child> {
  const script = fileURLToPath(new URL('./contract-process.ts', import.meta.url))
  const flags = ['--disable-warning=ExperimentalWarning']
  const started = spawn(process.execPath, [...flags, script, JSON.stringify(settings), ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const exited = once(started, 'exit')
  t.after(async () => {
    started.kill('SIGKILL')
    await exited
  })
  const lines = createInterface(started.stdout)[Symbol.asyncIterator]()
  const line = async () => String((await lines.next()).value)
  if (args[0] !== 'watch') assert.equal(await line(), 'ready')
  return { process: started, line, exited }
}

type Model = Map<string, { value: number; version: number }>
interface Operation {
  readonly kind: 'get' | 'create' | 'update' | 'remove' | 'removeAny' | 'list'
  readonly path: string
  readonly value: number
  readonly version: number
}

const operation: fc.Arbitrary<Operation & { readonly by: number }> = fc.record({
  by: fc.integer({ min: 0, max: 1 }),
  kind: fc.constantFrom('get', 'create', 'update', 'remove', 'removeAny', 'list'),
  path: fc.constantFrom('/a', '/b', '/a/b', '/a/b/c', '/a-b', '/a.b/c'),
  value: fc.integer(),
  version: fc.integer({ min: 0, max: 3 }),
})

async function outcome(promise: Promise<unknown>): Promise<unknown> {
  return promise.catch((error: { code?: string }) => error.code ?? error)
}

function applyToStore(
  store: Store,
  root: string,
  { kind, path, value, version }: Operation,
): Promise<unknown> {
  switch (kind) {
    case 'get':
      return store.get(root + path)
    case 'create':
      return store.create(root + path, value)
    case 'update':
      return store.update(root + path, value, version)
    case 'remove':
      return store.remove(root + path, version)
    case 'removeAny':
      return store.remove(root + path)
    case 'list':
      return store.list(root + path)
  }
}

function applyToModel(model: Model, { kind, path, value, version }: Operation): unknown {
  const found = model.get(path)
  if (kind === 'get') return found
  if (kind === 'list') {
    const below = [...model.keys()].filter((other) => other.startsWith(`${path}/`))
    return [...new Set(below.map((other) => other.slice(path.length + 1).split('/')[0]!))].sort()
  }
  if (kind === 'create') {
    if (found !== undefined) return 'ERR_STORE_EXISTS'
    model.set(path, { value, version: 0 })
    return 0
  }
  if (found === undefined) return 'ERR_STORE_NOT_FOUND'
  if (kind !== 'removeAny' && found.version !== version) return 'ERR_STORE_CONFLICT'
  if (kind === 'update') {
    model.set(path, { value, version: version + 1 })
    return version + 1
  }
  model.delete(path)
  return undefined
}
