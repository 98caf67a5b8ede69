import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import fc from 'fast-check'
import type { StoredBundle } from '../../infra/bundles/index.ts'
import { ManualClock } from '../../infra/clock.ts'
import { makeLog } from '../../infra/log.ts'
import { openStore, paths, type Store } from '../../infra/store/index.ts'
import { manifestSchema } from '../../sdk/manifest/manifest.ts'
import { type BundleRemover, collect, startCollector, versionsKept } from './collector.ts'

const hourMs = 60 * 60_000
const namespace = 'test'
const log = makeLog({ name: 'gateway', level: 'error', to: { write: () => {} } })

/** A bundle store in memory, with the revisions and times of the real one. */
class MemoryBundles implements BundleRemover {
  readonly held = new Map<string, StoredBundle>()
  /** Of uploads that did not come to their end: when something was added last. */
  torn: number[] = []
  readonly clock: ManualClock
  #revision = 0
  /** Runs between the look at the bundles and what follows. */
  afterList: () => Promise<void> = () => Promise.resolve()

  constructor(clock: ManualClock) {
    this.clock = clock
  }

  put(sha256: string): void {
    this.held.set(sha256, { sha256, revision: ++this.#revision, touchedMs: this.clock.nowMs() })
  }

  async list(): Promise<readonly StoredBundle[]> {
    const all = [...this.held.values()]
    await this.afterList()
    return all
  }

  async removeTorn(beforeMs: number): Promise<number> {
    const before = this.torn.length
    this.torn = this.torn.filter((addedMs) => addedMs >= beforeMs)
    return before - this.torn.length
  }

  async removeUntouched({ sha256, revision }: StoredBundle): Promise<boolean> {
    return this.held.get(sha256)?.revision === revision && this.held.delete(sha256)
  }
}

async function setUp(t?: TestContext) {
  const dir = await mkdtemp(join(tmpdir(), 'concord-collector-'))
  const store = await openStore(`sqlite:${join(dir, 'store.sqlite')}`)
  const close = async () => {
    await store.close()
    await rm(dir, { recursive: true })
  }
  t?.after(close)
  const clock = new ManualClock(10 * hourMs)
  const bundles = new MemoryBundles(clock)
  return {
    store,
    clock,
    bundles,
    close,
    options: { store, bundles, namespace, clock, log, isAlone: async () => true },
  }
}

async function addVersion(
  store: Store,
  name: string,
  version: number,
  bundleSha256: string,
  more: { ns?: string; sourceMapSha256?: string } = {},
): Promise<void> {
  const { ns = namespace, ...rest } = more
  const manifest = manifestSchema.parse({ name })
  await store.create(paths.version(ns, name, version), {
    ...{ schema: 1, version, bundleSha256, bundleBytes: 1, manifest, deployedAtMs: 0 },
    ...rest,
  })
}

async function want(store: Store, name: string, version: number, more: object = {}): Promise<void> {
  const document = { schema: 1, version, instances: 1, createdAtMs: 0, ...more }
  await store.create(paths.function(namespace, name), document)
}

const numbers = async (store: Store, name: string) =>
  (await store.list(paths.versions(namespace, name))).map(Number).sort((a, b) => a - b)

test('collect keeps the newest 100 versions of a function, the wanted one, and those that instances run (L1)', async (t) => {
  const { store, bundles, clock, options } = await setUp(t)
  for (let version = 1; version <= 106; version++) {
    await addVersion(store, 'often', version, `bundle-${version}`, { sourceMapSha256: `map-${version}` })
    bundles.put(`bundle-${version}`)
    bundles.put(`map-${version}`)
  }
  await addVersion(store, 'once', 1, 'bundle-3')
  await want(store, 'often', 2)
  await want(store, 'once', 1)
  const instances = [{ id: 'often-0', index: 0, version: 4 }]
  await store.create(paths.status(namespace, 'often'), {
    schema: 1,
    function: 'often',
    version: 2,
    instances,
  })
  clock.advance(hourMs)
  assert.deepEqual(await collect(options), { versions: 4, bundles: 7 })
  const kept = await numbers(store, 'often')
  assert.equal(kept.length, versionsKept + 2)
  assert.deepEqual(kept.slice(0, 3), [2, 4, 7])
  // Bundle 3 is another function's; everything else of the four versions has gone.
  assert.deepEqual(
    [1, 2, 3, 4, 5, 6, 7].map((i) => [bundles.held.has(`bundle-${i}`), bundles.held.has(`map-${i}`)]),
    [
      [false, false],
      [true, true],
      [true, false],
      [true, true],
      [false, false],
      [false, false],
      [true, true],
    ],
  )
  assert.deepEqual(await collect(options), { versions: 0, bundles: 0 })
})

test('collect keeps the assets that any kept version names', async (t) => {
  const { store, bundles, clock, options } = await setUp(t)
  const manifest = manifestSchema.parse({ name: 'scored' })
  for (const [version, sha256] of [
    [1, 'old'],
    [2, 'new'],
  ] as const) {
    const document = { schema: 1, version, bundleSha256: 'code', bundleBytes: 1, manifest, deployedAtMs: 0 }
    const assets = { 'model.bin': { sha256, bytes: 1 } }
    await store.create(paths.version(namespace, 'scored', version), { ...document, assets })
  }
  for (const content of ['code', 'old', 'new', 'nobodys']) bundles.put(content)
  clock.advance(hourMs)
  assert.deepEqual(await collect(options), { versions: 0, bundles: 1 })
  assert.deepEqual([...bundles.held.keys()], ['code', 'old', 'new'])
})

test('collect spares bundles of other namespaces, fresh bundles, and functions being deleted', async (t) => {
  const { store, bundles, clock, options } = await setUp(t)
  await addVersion(store, 'far', 1, 'far', { ns: 'other' })
  for (let version = 1; version <= 103; version++) await addVersion(store, 'leaving', version, 'same')
  await want(store, 'leaving', 103, { deleted: true })
  for (const name of ['far', 'same', 'nobody']) bundles.put(name)
  clock.advance(hourMs - 1)
  bundles.put('fresh')
  assert.deepEqual(await collect(options), { versions: 0, bundles: 0 })
  clock.advance(1)
  assert.deepEqual(await collect(options), { versions: 0, bundles: 1 })
  assert.deepEqual([...bundles.held.keys()].sort(), ['far', 'fresh', 'same'])
})

test('collect removes what an upload has left an hour after its last byte (L3)', async (t) => {
  const { bundles, clock, options } = await setUp(t)
  bundles.torn = [clock.nowMs() - hourMs - 1, clock.nowMs() - hourMs + 1]
  assert.deepEqual(await collect(options), { versions: 0, bundles: 1 })
  assert.equal(bundles.torn.length, 1)
})

test('a deploy of the same code at any moment of a collection keeps its bundle (L2)', async () => {
  const step = fc.constantFrom('put', 'version', 'wait')
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { maxLength: 4 }),
      fc.array(step, { maxLength: 4 }),
      async (before, during) => {
        const { store, bundles, clock, options, close } = await setUp()
        bundles.put('code')
        clock.advance(2 * hourMs)
        let put = false
        let version = 0
        const run = async (steps: readonly string[]) => {
          for (const what of steps) {
            if (what === 'put') {
              bundles.put('code')
              put = true
            } else if (what === 'version' && put) await addVersion(store, 'f', ++version, 'code')
            else if (what === 'wait') clock.advance(60_000)
          }
        }
        bundles.afterList = () => run(during)
        await run(before)
        await collect(options)
        if (put && version === 0) await run(['version']) // the deploy goes on
        if (version > 0) assert.ok(bundles.held.has('code'), `${before} | ${during}`)
        else assert.ok(!bundles.held.has('code'))
        await close()
      },
    ),
    { numRuns: 60 },
  )
})

test('startCollector collects after a minute, then hourly, also after a failure, until it is stopped', async (t) => {
  const { options, bundles } = await setUp(t)
  const alarms: { delayMs: number; run: () => void }[] = []
  let set = Promise.withResolvers<void>()
  const clock = {
    ...{ nowMs: () => 0, monotonicMs: () => 0 },
    after(delayMs: number, run: () => void) {
      const alarm = { delayMs, run }
      alarms.push(alarm)
      set.resolve()
      return () => void alarms.splice(alarms.indexOf(alarm), 1)
    },
  }
  let looks = 0
  bundles.afterList = async () => {
    if (++looks === 1) throw new Error('the store does not answer')
  }
  const stop = startCollector({ ...options, clock })
  const delays: number[] = []
  for (let i = 0; i < 3; i++) {
    const { delayMs, run } = alarms.shift()!
    delays.push(delayMs)
    set = Promise.withResolvers()
    run()
    await set.promise
  }
  assert.deepEqual([looks, delays], [3, [60_000, hourMs, hourMs]])
  stop()
  assert.deepEqual(alarms, [])
})
