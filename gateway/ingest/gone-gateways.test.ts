/** What gateways have sent that are gone: in the ledgers of others, after an end in order and after a kill. */
import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { ManualClock } from '../../infra/clock.ts'
import { decodeGone } from '../../infra/control/index.ts'
import type { OutputLedger, ReceivedRow } from '../../infra/control/messages/accounts.ts'
import type { Heartbeat } from '../../infra/control/messages/heartbeat.ts'
import { makeLog } from '../../infra/log.ts'
import {
  foldedSender,
  openStore,
  paths,
  type SenderDocument,
  type SentDocument,
} from '../../infra/store/index.ts'
import { manifestSchema } from '../../sdk/manifest/manifest.ts'
import type { CatalogView } from '../catalog/catalog.ts'
import { outputsOfClients } from '../catalog/ledger.ts'
import { sentBefore } from '../catalog/sent-before.ts'
import { GoneGateways } from './gone-gateways.ts'
import { SentAccount } from './sent-account.ts'

const namespace = 'test'
const log = makeLog({ name: 'test', level: 'error' })
const row = {
  stream: 'lines',
  consumer: 'f',
  sent: 100,
  acked: 80,
  dropped: { late: 2 },
  unaccounted: 5,
  parts: 2,
}

async function setUp(t: TestContext) {
  const dir = await mkdtemp(join(tmpdir(), 'concord-sent-'))
  const store = await openStore(`sqlite:${join(dir, 'store.sqlite')}`)
  t.after(async () => {
    await store.close()
    await rm(dir, { recursive: true })
  })
  const clock = new ManualClock()
  const manifest = manifestSchema.parse({ name: 'f', istreams: { lines: { grouping: 'groupBy' } } })
  const document = { schema: 1 as const, version: 1, instances: 1, createdAtMs: 7 }
  const version = {
    schema: 1 as const,
    version: 1,
    bundleSha256: '',
    bundleBytes: 0,
    manifest,
    deployedAtMs: 0,
  }
  const live = { name: 'f', document, version, status: undefined }
  const lines = { name: 'lines', document: { schema: 1 as const, partitions: 16, raw: false }, producers: [] }
  const view: CatalogView = {
    functions: new Map([['f', live]]),
    streams: new Map([['lines', { ...lines, consumers: ['f'], followers: new Map() }]]),
  }
  const silent = new Set<string>()
  const asked: string[] = []
  const isConnected = { now: true }
  const gone = new GoneGateways({
    ...{ store, namespace, clock, view: () => view, gatewayId: 'own' },
    log,
    silentMs: (id) => (silent.has(id) ? 60_000 : 0),
    ask(bytes) {
      if (isConnected.now) asked.push(...decodeGone(bytes)!.map(({ name, index }) => `${name}/${index}`))
      return isConnected.now
    },
  })
  /** A gateway that has written down so much, and then nothing. */
  const put = async (id: string, rows: readonly OutputLedger[], state: SenderDocument['state'] = 'open') => {
    const document: SenderDocument = { schema: 1, state, atMs: clock.nowMs() }
    await store.create(paths.sender(namespace, id), document)
    if (rows.length === 0) return
    const sent: SentDocument = { schema: 1, rows: rows.map((each) => ({ ...each, createdAtMs: 7 })) }
    await store.create(paths.sent(namespace, id, 'lines'), sent)
  }
  const sentTo = sentBefore(store, namespace)
  const before = async (speaks: (id: string) => boolean = () => false) => await sentTo(live, speaks)
  /** Looks until the receivers of those that are silent were asked for long enough. */
  const asksOnce = async () => {
    await gone.look()
    clock.advance(5_000)
    await gone.look()
  }
  return { store, clock, view, gone, silent, asked, isConnected, put, before, asksOnce }
}

const sums = (rows: readonly OutputLedger[]) =>
  rows.map(({ sent, acked, unaccounted }) => [sent, acked, unaccounted])

const said = (index: string, partition: number, sent: number, acked = sent): ReceivedRow => ({
  ...{ name: 'ingest', index, epoch: 1, stream: 'lines', consumer: 'f', partition },
  ...{ sent, acked, dropped: { late: 2 } },
})
const beat = (...received: ReceivedRow[]) => ({ instances: [{ received }] }) as unknown as Heartbeat

async function opened(t: TestContext, { store, clock, view }: Awaited<ReturnType<typeof setUp>>) {
  const outputs: { now: OutputLedger[] } = { now: [] }
  const forgotten: string[] = []
  const account = await SentAccount.open({
    ...{ store, namespace, clock, log, view: () => view, gatewayId: 'g' },
    ...{ outputs: () => outputs.now, onForgotten: () => forgotten.push('g') },
  })
  t.after(() => account.close(AbortSignal.timeout(60_000)))
  return { account, outputs, forgotten }
}

test('SentAccount writes at once what receivers cannot tell, the rest later, and an exact account at the end (SA2 of sent-account.ts)', async (t) => {
  const world = await setUp(t)
  const { clock, store, before } = world
  const { account, outputs } = await opened(t, world)
  assert.deepEqual(await before(), { rows: [], over: new Set(), open: [] })
  const written = async () => {
    const rows = (await store.get<SentDocument>(paths.sent(namespace, 'g', 'lines')))?.value.rows
    return rows?.map(({ sent, unaccounted }) => [sent, unaccounted])
  }
  /** After its next look, when it waits for another one. */
  const looked = async () => {
    clock.advance(1_000)
    while (!clock.isAwaited) await new Promise(setImmediate)
    return await written()
  }
  outputs.now = [row, { ...row, consumer: '$server' }, { ...row, consumer: 'follower.x' }]
  assert.deepEqual(await looked(), [[100, 5]], 'to functions alone')
  outputs.now = [{ ...row, sent: 150, acked: 90 }]
  assert.deepEqual(await looked(), [[100, 5]], 'its receivers know')
  outputs.now = [{ ...row, sent: 150, acked: 90, unaccounted: 6 }]
  assert.deepEqual(await looked(), [[150, 6]])
  outputs.now = [{ ...row, sent: 200, acked: 190, unaccounted: 6 }]
  for (let second = 1; second < 5; second++) assert.deepEqual(await looked(), [[150, 6]])
  assert.deepEqual(await looked(), [[200, 6]])
  await account.close(AbortSignal.timeout(60_000))
  const { rows, over } = await before(() => true)
  assert.deepEqual(sums(rows), [[200, 190, 10]], 'also while it is still heard')
  assert.deepEqual([...over], ['g'])
})

test('GoneGateways settles a killed gateway by the answers of its receivers, once', async (t) => {
  const { clock, gone, silent, asked, put, before } = await setUp(t)
  await put('g', [row])
  await gone.look()
  assert.deepEqual(sums((await before((id) => id === 'g')).rows), [], 'it speaks for itself')
  assert.deepEqual(asked, [])
  silent.add('g')
  await gone.look()
  assert.deepEqual(sums((await before()).rows), [[100, 80, 5]], 'the rest is in flight, meanwhile')
  clock.advance(5_000)
  gone.hear(beat(said('g', 0, 30), said('g', 1, 100, 90)))
  await gone.look()
  assert.deepEqual(sums((await before()).rows), [[100, 80, 5]], 'a receiver has some in hand')
  gone.hear(beat(said('g', 1, 100)))
  await gone.look()
  const { rows, over } = await before()
  assert.deepEqual(sums(rows), [[130, 125, 5]])
  assert.deepEqual(rows[0]!.dropped, { late: 4 })
  assert.deepEqual([...over], ['g'])
  assert.deepEqual(new Set(asked), new Set(['ingest/g']))
  gone.hear(beat(said('g', 1, 200)))
  await gone.look()
  assert.deepEqual(sums((await before()).rows), [[130, 125, 5]])
})

test('GoneGateways does not wait for records that nobody has in hand', async (t) => {
  const { clock, gone, silent, put, before } = await setUp(t)
  await put('g', [row])
  silent.add('g')
  await gone.look()
  assert.deepEqual((await before()).open, ['g'])
  clock.advance(5_000)
  gone.hear(beat(said('g', 0, 30), { ...said('g', 1, 100, 90), inHand: 0 }))
  await gone.look()
  const { rows, open } = await before()
  assert.deepEqual([sums(rows), open], [[[130, 115, 15]], []])
})

test('GoneGateways counts records in flight as unaccounted if the receivers are gone too', async (t) => {
  const { silent, put, before, asksOnce } = await setUp(t)
  await put('g', [row])
  silent.add('g')
  await asksOnce()
  assert.deepEqual(sums((await before()).rows), [[100, 80, 20]])
})

test('GoneGateways learns from receivers what a gateway sent after its last write, and before its first', async (t) => {
  const { clock, gone, silent, put, before } = await setUp(t)
  const { parts: _, ...held } = { ...row, sent: 10, acked: 0, dropped: {}, unaccounted: 0 }
  await put('g', [])
  await put('h', [held])
  for (const id of ['g', 'h']) silent.add(id)
  await gone.look()
  gone.hear(beat(said('g', 0, 30), said('g', 3, 7), said('h', 0, 50)))
  clock.advance(5_000)
  await gone.look()
  assert.deepEqual(sums((await before()).rows), [
    [37, 37, 0],
    [50, 50, 0],
  ])
})

test('GoneGateways settles no gateway before receivers could be asked, or that is heard again (GG1)', async (t) => {
  const world = await setUp(t)
  const { clock, store, silent, isConnected, before, asksOnce } = world
  const { outputs } = await opened(t, world)
  const stateOf = async () => (await store.get<SenderDocument>(paths.sender(namespace, 'g')))?.value.state
  const writes = async (sent: number) => {
    outputs.now = [{ ...row, sent, acked: sent - 20 }]
    for (;;) {
      const found = await store.get<SentDocument>(paths.sent(namespace, 'g', 'lines'))
      if (found?.value.rows[0]?.sent === sent && (await stateOf()) === 'open') return
      clock.advance(1_000)
      await new Promise(setImmediate)
    }
  }
  await writes(100)
  silent.add('g')
  isConnected.now = false
  await asksOnce()
  await asksOnce()
  assert.deepEqual([...(await before()).over], [])
  isConnected.now = true
  await asksOnce()
  assert.deepEqual([...(await before()).over], ['g'])
  silent.delete('g')
  await writes(300)
  assert.deepEqual(await before(() => true), { rows: [], over: new Set(), open: ['g'] })
})

test('the records of a living gateway that was given up are counted once, also by itself', async (t) => {
  const world = await setUp(t)
  const { clock, store, gone, silent, before, asksOnce } = world
  const { outputs } = await opened(t, world)
  outputs.now = [{ ...row, acked: 95, unaccounted: 5 }]
  while ((await store.get(paths.sent(namespace, 'g', 'lines'))) === undefined) {
    clock.advance(1_000)
    await new Promise(setImmediate)
  }
  silent.add('g')
  await asksOnce()
  silent.delete('g')
  const own = { id: 'g', rows: outputs.now }
  const itself = { id: 'g', outputs: outputs.now } as unknown as Heartbeat
  const sent = async (of: typeof own) =>
    outputsOfClients([itself], of, await before(() => true)).reduce((sum, each) => sum + each.sent, 0)
  assert.deepEqual([await sent(own), await sent({ id: 'another', rows: [] })], [100, 100])
  clock.advance(600_000)
  await gone.look()
  assert.deepEqual([await sent(own), await sent({ id: 'another', rows: [] })], [100, 100])
})

test('GoneGateways folds old accounts into sums, each once, wherever it is interrupted (GG2)', async (t) => {
  const { store, clock, gone, put, before, silent } = await setUp(t)
  silent.add('another')
  for (let i = 0; i < 20; i++) {
    silent.add(`g${i}`)
    await put(`g${i}`, [row], 'over')
  }
  const total = async () => {
    const { rows } = await before()
    return [rows.reduce((sum, { sent }) => sum + sent, 0), rows.reduce((sum, { acked }) => sum + acked, 0)]
  }
  await gone.look()
  assert.deepEqual(await total(), [2_000, 1_600])
  assert.equal((await store.list(paths.senders(namespace))).length, 20)
  clock.advance(600_000)
  await gone.look()
  assert.deepEqual(await total(), [2_000, 1_600])
  assert.deepEqual(await store.list(paths.senders(namespace)), [foldedSender])
  await put('g3', [row], 'folded')
  assert.deepEqual(await total(), [2_000, 1_600], 'its removal was not seen to the end')
  await gone.look()
  assert.deepEqual(await store.list(paths.senders(namespace)), [foldedSender])
  await put('another', [row], 'over')
  assert.deepEqual(await total(), [2_100, 1_680])
  clock.advance(600_000)
  await gone.look()
  assert.deepEqual(await total(), [2_100, 1_680])
})

test('SentAccount writes nothing more once its rows were folded, and says so (SA4)', async (t) => {
  const world = await setUp(t)
  const { clock, gone, silent, store, asksOnce } = world
  const { outputs, forgotten } = await opened(t, world)
  silent.add('g')
  await asksOnce()
  clock.advance(600_000)
  await gone.look()
  outputs.now = [row]
  while (forgotten.length === 0) {
    clock.advance(1_000)
    await new Promise(setImmediate)
  }
  assert.deepEqual(await store.list(paths.senders(namespace)), [])
})
