import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { jetstream, jetstreamManager } from '@nats-io/jetstream'
import { connectBus, type NatsConnection } from '../bus/index.ts'
import {
  endNatsServer,
  type NatsServerOptions,
  type NatsUsers,
  natsRoles,
  startNatsServer,
} from '../nats/index.ts'
import { loadCheckpoint } from './load.ts'
import type { Checkpoint, SegmentInfo } from './manifest.ts'
import { claimState } from './mark.ts'
import { encodePart, joinCrc, partPageBytes, type SegmentId } from './part.ts'
import {
  type CheckpointStore,
  checkpointStream,
  ensureCheckpointStream,
  functionsWithCheckpoints,
  openCheckpoints,
  removeCheckpoints,
} from './store.ts'

async function setUp(t: TestContext, options: Partial<NatsServerOptions> = {}, timeoutMs = 10_000) {
  const dir = await mkdtemp(join(tmpdir(), 'concord-checkpoints-'))
  const server = await startNatsServer({ port: 0, ...options, dir })
  const nc = await connectBus({ url: server.url, name: 'test', ...options.users?.gateway })
  t.after(async () => {
    await nc.close()
    await endNatsServer(dir)
    await rm(dir, { recursive: true })
  })
  await ensureCheckpointStream(nc)
  await ensureCheckpointStream(nc)
  await claimState(nc, 'default', { id: 'a store' })
  return { dir, server, nc, store: await openCheckpoints(nc, 'default', 'score', timeoutMs) }
}

/** What readers find while a server leads that has an empty copy. */
async function empty(nc: NatsConnection): Promise<void> {
  await (await jetstreamManager(nc)).streams.purge(checkpointStream)
}

test('an empty copy is no answer: whoever finds no manifest beside no mark waits for it, then fails with the reason (C4)', async (t) => {
  const { nc, store } = await setUp(t)
  assert.equal(await store.readManifest('3'), undefined)
  await empty(nc)
  const impatient = await openCheckpoints(nc, 'default', 'score', 300)
  await assert.rejects(impatient.readManifest('3'), {
    code: 'ERR_CHECKPOINT_STORE',
    message:
      /^Cannot read the checkpoint of 3: of the checkpoints of namespace 'default' NATS has nothing, not even the mark/,
  })
  const read = store.readManifest('3')
  await impatient.readManifest('3').catch(() => undefined)
  await claimState(nc, 'default', { id: 'a store' })
  assert.equal(await read, undefined)
})

test('a mark that was there is not made anew, unless its store is named as given up (MK3)', async (t) => {
  const { nc, store } = await setUp(t)
  await empty(nc)
  const claim = (replaces?: string) =>
    claimState(nc, 'default', { id: 'a store', isMarked: true, replaces }, 300)
  await assert.rejects(claim(), {
    code: 'ERR_CHECKPOINT_STORE',
    message: /NATS has nothing.*CONCORD_STORE_REPLACES=a store$/,
  })
  await claim('a store')
  assert.equal(await store.readManifest('3'), undefined)
})

async function stateOf(nc: NatsConnection) {
  return (await (await jetstreamManager(nc)).streams.info(checkpointStream)).state
}

function checkpointOf(segments: readonly SegmentInfo[], changes: Partial<Checkpoint> = {}): Checkpoint {
  const sizes = { slabs: [65_536], inputs: {}, clean: true }
  return { epoch: 1, number: 1, timeMs: 1, version: 1, ...sizes, segments: [...segments], ...changes }
}

/** Writes a segment of `parts` parts of three pages each. */
async function putSegment(store: CheckpointStore, id: SegmentId, parts: number, fill: number) {
  const sequences: number[] = []
  let crc = 0
  for (let index = 0; index < parts; index++) {
    const pages = Uint32Array.of(index, index + 1, 1000 + index)
    const bytes = new Uint8Array(3 * partPageBytes).fill(fill)
    const part = encodePart({ segment: id, index, pages, bytes })
    sequences.push(await store.putPart('3', id, index, part.message))
    crc = joinCrc(crc, part.crc)
  }
  return { info: { ...id, parts, pages: 3 * parts, crc }, sequences }
}

const load = async (store: CheckpointStore, checkpoint: Checkpoint): Promise<Map<number, number>> => {
  const found = new Map<number, number>()
  await loadCheckpoint(store, '3', checkpoint, (_segment, pages, bytes) => {
    for (const [i, page] of pages.entries()) found.set(page, bytes[i * partPageBytes]!)
  })
  return found
}

test('CheckpointStore returns what was put, and a page in a later segment wins', async (t) => {
  const { store } = await setUp(t)
  assert.equal(await store.readManifest('3'), undefined)
  const first = await putSegment(store, { epoch: 1, number: 0 }, 20, 1)
  const second = await putSegment(store, { epoch: 1, number: 1 }, 2, 2)
  const checkpoint = checkpointOf([first.info, second.info])
  await store.writeManifest('3', { schema: 1, epoch: 1, current: checkpoint }, 0)
  const read = await store.readManifest('3')
  assert.deepEqual(read?.manifest, { schema: 1, epoch: 1, current: checkpoint })
  const pages = await load(store, read!.manifest.current!)
  assert.deepEqual([pages.get(0), pages.get(2), pages.get(3), pages.get(1019)], [2, 2, 1, 1])
  assert.equal(pages.size, 21 + 20)
  assert.equal(await store.readManifest('4'), undefined)
})

test('CheckpointStore.writeManifest refuses a writer that has not read the newest manifest: an old owner overwrites nothing', async (t) => {
  const { store } = await setUp(t)
  const old = await store.writeManifest('3', { schema: 1, epoch: 1 }, 0)
  const claimed = await store.writeManifest('3', { schema: 1, epoch: 2 }, old)
  const superseded = { code: 'ERR_CHECKPOINT_SUPERSEDED' }
  await assert.rejects(
    store.writeManifest('3', { schema: 1, epoch: 1, current: checkpointOf([]) }, old),
    superseded,
  )
  await assert.rejects(store.writeManifest('3', { schema: 1, epoch: 1 }, 0), superseded)
  assert.equal((await store.readManifest('3'))?.manifest.epoch, 2)
  // Its own acknowledgement was lost: written again it is the same.
  assert.equal(await store.writeManifest('3', { schema: 1, epoch: 2 }, old), claimed)
})

test('CheckpointStore.writeManifest accepts one of many concurrent writers', async (t) => {
  const { store } = await setUp(t)
  const tries = Array.from({ length: 10 }, (_, epoch) => store.writeManifest('3', { schema: 1, epoch }, 0))
  const results = await Promise.allSettled(tries)
  assert.equal(results.filter(({ status }) => status === 'fulfilled').length, 1)
})

test('loadCheckpoint notices a part that is missing, torn, changed or exchanged', async (t) => {
  const { nc, store } = await setUp(t)
  const corrupt = (message: RegExp) => ({ code: 'ERR_CHECKPOINT_CORRUPT', message })
  const id = { epoch: 7, number: 12 }
  const { info, sequences } = await putSegment(store, id, 12, 1)
  const checkpoint = checkpointOf([info])
  const message = new Uint8Array((await store.getPart('3', id, 5))!.message)
  const put = async (bytes: Uint8Array): Promise<void> => void (await store.putPart('3', id, 5, bytes))

  await put(message.subarray(0, 2000))
  await assert.rejects(load(store, checkpoint), corrupt(/part 5 of segment 7-12.*2000 bytes/))
  const changed = message.slice()
  changed[1500]! ^= 1
  await put(changed)
  await assert.rejects(load(store, checkpoint), corrupt(/part 5 .*checksum/))
  await put((await store.getPart('3', id, 4))!.message)
  await assert.rejects(load(store, checkpoint), corrupt(/part 5 .*found part 4/))
  const other = encodePart({ segment: id, index: 5, pages: Uint32Array.of(1), bytes: new Uint8Array(1024) })
  await put(other.message)
  await assert.rejects(load(store, checkpoint), corrupt(/not those that it was written with/))
  await put(message)
  assert.equal((await load(store, checkpoint)).size, 25)
  await assert.rejects(load(store, checkpointOf([{ ...info, parts: 11 }])), corrupt(/not those/))
  await store.remove([sequences[11]!])
  await assert.rejects(load(store, checkpoint), corrupt(/part 11 .*is missing/))

  await jetstream(nc).publish('concord.default.k.score.3.m', '{"schema":1,')
  await assert.rejects(store.readManifest('3'), { code: 'ERR_CHECKPOINT_CORRUPT', message: /of 3/ })
})

test('CheckpointStore.remove and removeStrays free the room, and remove nothing else', async (t) => {
  const { nc, store } = await setUp(t)
  const kept = await putSegment(store, { epoch: 1, number: 0 }, 10, 1)
  await store.writeManifest('3', { schema: 1, epoch: 1, current: checkpointOf([kept.info]) }, 0)
  const before = (await stateOf(nc)).bytes
  const account = async () => (await (await jetstreamManager(nc)).getAccountInfo()).storage
  const used = await account()
  const old = await putSegment(store, { epoch: 1, number: 1 }, 30, 2)
  await store.remove(old.sequences)
  await store.remove(old.sequences)
  assert.equal((await stateOf(nc)).bytes, before)
  await putSegment(store, { epoch: 1, number: 2 }, 5, 3)
  await putSegment(store, { epoch: 2, number: 0 }, 5, 3)
  assert.equal(await store.removeStrays('3', 0, [kept.info]), 0) // what newer owners store is no stray
  assert.equal(await store.removeStrays('3', 9, [kept.info]), 10)
  assert.equal(await store.removeStrays('4', 9, []), 0)
  assert.equal((await stateOf(nc)).bytes, before)
  assert.equal(await account(), used)
  assert.equal((await load(store, checkpointOf([kept.info]))).size, 21)
})

test('removeCheckpoints deletes all checkpoints of a function, and none of others', async (t) => {
  const { nc, store } = await setUp(t)
  const other = await openCheckpoints(nc, 'default', 'score-2')
  for (const each of [store, other]) {
    const { info } = await putSegment(each, { epoch: 1, number: 0 }, 3, 1)
    await each.writeManifest('3', { schema: 1, epoch: 1, current: checkpointOf([info]) }, 0)
  }
  assert.deepEqual(await functionsWithCheckpoints(nc, 'default'), ['score', 'score-2'])
  assert.deepEqual(await functionsWithCheckpoints(nc, 'other'), [])
  await removeCheckpoints(nc, 'default', 'score')
  await removeCheckpoints(nc, 'default', 'score')
  assert.deepEqual(await functionsWithCheckpoints(nc, 'default'), ['score-2'])
  assert.equal(await store.readManifest('3'), undefined)
  assert.equal((await stateOf(nc)).messages, 5, 'the mark too')
  assert.notEqual(await other.readManifest('3'), undefined)
})

test('removeCheckpoints finds nothing to do where no checkpoint was ever made', async (t) => {
  const { nc } = await setUp(t)
  await (await jetstreamManager(nc)).streams.delete(checkpointStream)
  await removeCheckpoints(nc, 'default', 'score')
})

test('CheckpointStore works through a kill of nats-server, and keeps what was acknowledged', async (t) => {
  const { dir, server, store } = await setUp(t)
  const first = await putSegment(store, { epoch: 1, number: 0 }, 5, 1)
  await server.stop('SIGKILL')
  const restarted = startNatsServer({ dir, port: server.port })
  const second = await putSegment(store, { epoch: 1, number: 1 }, 5, 2)
  await store.writeManifest('3', { schema: 1, epoch: 1, current: checkpointOf([first.info, second.info]) }, 0)
  await restarted
  assert.equal((await load(store, (await store.readManifest('3'))!.manifest.current!)).size, 11)
})

test('CheckpointStore reports a store that is full or silent', async (t) => {
  const { server, store } = await setUp(t, { storeBytesMax: 1_000_000 }, 1_000)
  const id = { epoch: 1, number: 0 }
  // The server counts what it holds with a delay.
  const fill = async (): Promise<void> => {
    for (let index = 0; index < 50; index++) await store.putPart('3', id, index, randomBytes(600_000))
  }
  await assert.rejects(fill(), {
    code: 'ERR_CHECKPOINT_STORE',
    message: /disk of nats-server is full/,
  })
  process.kill(server.pid, 'SIGSTOP')
  while (!/\) T /.test(readFileSync(`/proc/${server.pid}/stat`, 'utf8'))) await setImmediate() // a busy machine takes its time
  await assert.rejects(store.readManifest('3'), {
    code: 'ERR_CHECKPOINT_STORE',
    message: /is nats-server up/,
  })
  process.kill(server.pid, 'SIGCONT')
})

test('CheckpointStore: a runner may do everything that an owner needs, but not change the stream', async (t) => {
  const users = Object.fromEntries(
    natsRoles.map((role) => [role, { user: role, password: role }]),
  ) as unknown as NatsUsers
  const { server } = await setUp(t, { users })
  const nc = await connectBus({ url: server.url, name: 'runner', ...users.runner })
  t.after(() => nc.close())
  const store = await openCheckpoints(nc, 'default', 'score')
  const { info, sequences } = await putSegment(store, { epoch: 1, number: 0 }, 2, 1)
  await putSegment(store, { epoch: 1, number: 1 }, 2, 1)
  await store.writeManifest('3', { schema: 1, epoch: 1, current: checkpointOf([info]) }, 0)
  assert.equal((await load(store, (await store.readManifest('3'))!.manifest.current!)).size, 5)
  assert.equal(await store.removeStrays('3', 9, [info]), 2)
  await store.remove(sequences)
  await assert.rejects(ensureCheckpointStream(nc, 'auto', 1_000), { code: 'ERR_CHECKPOINT_STORE' })
})
