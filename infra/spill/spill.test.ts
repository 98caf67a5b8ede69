import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { jetstream, jetstreamManager } from '@nats-io/jetstream'
import { connectBus, type NatsConnection } from '../bus/index.ts'
import { spillSubject } from '../bus/messages/subjects.ts'
import { ManualClock } from '../clock.ts'
import {
  endNatsServer,
  type NatsServerOptions,
  type NatsUsers,
  natsRoles,
  startNatsServer,
} from '../nats/index.ts'
import { ensureSpillStream, goneAfterMs, Orphans } from './orphans.ts'
import { SpillStore, spillStream } from './spill-store.ts'

const users = Object.fromEntries(
  natsRoles.map((role) => [role, { user: role, password: 'secret' }]),
) as unknown as NatsUsers
const age = (): number => 1_234
const place = { function: 'f', stream: 's', partition: 3, producer: 'aaaaaaaaaaaaaaaa' }

async function setUp(
  t: TestContext,
  options: Partial<NatsServerOptions> = {},
  onConnected: (nc: NatsConnection) => void = () => undefined,
) {
  const dir = await mkdtemp(join(tmpdir(), 'concord-spill-'))
  const start = (port: number) => startNatsServer({ users, ...options, dir, port })
  const server = await start(0)
  const nc = await connectBus({ url: server.url, name: 'gateway', ...users.gateway })
  await ensureSpillStream(nc)
  await ensureSpillStream(nc)
  const troubles: string[] = []
  const store = new SpillStore({
    namespace: 'ns',
    connect: async () => {
      const runner = await connectBus({ url: server.url, name: 'runner', ...users.runner })
      onConnected(runner)
      return runner
    },
    onTrouble: (message) => troubles.push(message),
  })
  t.after(async () => {
    await store.close()
    await nc.close()
    await endNatsServer(dir)
    await rm(dir, { recursive: true })
  })
  // Over a connection of its own: what is asked of one that has not noticed yet that its server is back is lost.
  const stored = async () => {
    const asking = await connectBus({ url: server.url, name: 'asking', ...users.gateway })
    const { state } = await (await jetstreamManager(asking)).streams.info(spillStream)
    await asking.close()
    return state.messages
  }
  return { server, start, nc, store, troubles, stored }
}

test('SpillStore returns each stored chunk once, with the permissions of a runner', async (t) => {
  const { store, stored } = await setUp(t)
  const chunks = Array.from({ length: 20 }, () => randomBytes(300_000))
  const sequences = await Promise.all(chunks.map((chunk) => store.put(place, chunk, age)))
  assert.equal(await stored(), 20)
  for (const [i, sequence] of sequences.entries())
    assert.deepEqual(Buffer.from((await store.take(sequence!))!), chunks[i])
  assert.equal(await stored(), 0)
  assert.equal(await store.take(sequences[0]!), undefined)
})

test('SpillStore stores each chunk once through restarts of nats-server, and reports chunks that wait', async (t) => {
  const { server, start, store, troubles, stored } = await setUp(t)
  assert.ok(await store.put(place, randomBytes(100), age))
  await server.stop()
  const puts = Array.from({ length: 10 }, () => store.put(place, randomBytes(1000), age))
  while (troubles.length === 0) await new Promise((resolve) => setTimeout(resolve, 20))
  await start(Number(new URL(server.url).port))
  const sequences = await Promise.all(puts)
  assert.equal(new Set(sequences).size, 10)
  assert.equal(await stored(), 11)
  assert.match(troubles[0]!, /records that are to be spilled wait: JetStream does not answer/)
  assert.equal(troubles.at(-1), 'records are spilled to disk again')
})

/** Lets the answer to the next request be lost, and JetStream forget meanwhile the id of what was sent. */
function loseAnswer(nc: NatsConnection): void {
  const { request } = nc
  nc.request = async (subject, ...rest) => {
    nc.request = request
    await nc.request(subject, ...rest)
    const later = spillSubject('ns', 'f', 's', 0, 'later')
    const forget = () => jetstream(nc, { checkAPI: false }).publish(later, '', { msgID: 'later' })
    while ((await forget()).seq < 4);
    throw new Error('timeout')
  }
}

test('SpillStore stores a chunk once though its answer is lost for longer than JetStream knows its id (SP1 of spill-store.ts)', async (t) => {
  let runner: NatsConnection | undefined
  const { nc, store, stored } = await setUp(t, {}, (connected) => {
    runner = connected
  })
  await (await jetstreamManager(nc)).streams.update(spillStream, { duplicate_window: 100_000_000 })
  assert.equal(await store.put(place, Buffer.from('first'), age), 1)
  loseAnswer(runner!)
  assert.equal(await store.put(place, Buffer.from('second'), age), 2)
  assert.equal(await stored(), 4)
  assert.equal(await store.put(place, Buffer.from('third'), age), 3)
})

test('SpillStore takes nothing of others from a stream that was made anew, and stores once there too (SP4 of spill-store.ts)', async (t) => {
  let runner: NatsConnection | undefined
  const { nc, store, stored } = await setUp(t, {}, (connected) => {
    runner = connected
  })
  const { streams } = await jetstreamManager(nc)
  const gone = [1, 2, 3, 4, 5].map((i) => store.put(place, Buffer.from(`gone ${i}`), age))
  const numbers = await Promise.all(gone)
  await streams.delete(spillStream)
  await ensureSpillStream(nc)
  await streams.update(spillStream, { duplicate_window: 100_000_000 })
  loseAnswer(runner!)
  const number = await store.put(place, Buffer.from('kept'), age)
  assert.equal(await stored(), 4, 'three of the test')
  for (const before of numbers) assert.equal(await store.take(before!), undefined)
  assert.equal(await stored(), 4)
  assert.deepEqual(Buffer.from((await store.take(number!))!), Buffer.from('kept'))
  assert.equal(await stored(), 3)
})

test('SpillStore reports a full store, and continues when there is room', async (t) => {
  const { store } = await setUp(t, { storeBytesMax: 4 * 2 ** 20 })
  const sequences: number[] = []
  for (;;) {
    const sequence = await store.put(place, randomBytes(500_000), age)
    if (sequence === undefined) break
    sequences.push(sequence)
    assert.ok(sequences.length < 10, 'the bound is heeded')
  }
  assert.ok(sequences.length >= 6)
  for (const sequence of sequences) assert.ok(await store.take(sequence))
  assert.ok(await store.put(place, randomBytes(500_000), age))
})

test('Orphans adopts chunks of producers that are gone, in order, and none of living ones', async (t) => {
  const { nc, store, stored } = await setUp(t)
  const clock = new ManualClock()
  const orphans = new Orphans({ nc, namespace: 'ns', clock })
  const take = async (wants: () => boolean = () => true) => {
    const taken: string[] = []
    for await (const { partition, bytes, ...chunk } of orphans.take(wants)) {
      assert.equal(chunk.function, 'f')
      assert.equal(chunk.stream, 's')
      assert.ok(Math.abs(Date.now() - chunk.storedAtMs) < 60_000)
      assert.equal(chunk.ageMs, age())
      taken.push(`${partition} ${Buffer.from(bytes).toString()}`)
    }
    return taken
  }
  assert.deepEqual(await take(), [])
  const living = { ...place, producer: 'bbbbbbbbbbbbbbbb' }
  for (const [where, name] of [
    [place, 'dead'],
    [living, 'living'],
    [{ ...place, partition: 1 }, 'other'],
  ] as const)
    for (let i = 0; i < 3; i++) await store.put(where, Buffer.from(`${name} ${i}`), age)
  assert.deepEqual(await take(), [], 'seen for the first time: its producer may be about to say so')
  clock.advance(goneAfterMs + 1)
  orphans.heard(living.producer)
  let answers = 5 // twice for each chunk (O4 of orphans.ts): the third is read, and then not wanted any more
  assert.deepEqual(await take(() => answers-- > 0), ['1 other 0', '1 other 1'])
  assert.deepEqual(await take(), ['1 other 2', '3 dead 0', '3 dead 1', '3 dead 2'])
  assert.equal(await stored(), 3)
  clock.advance(goneAfterMs + 1)
  assert.deepEqual(await take(), ['3 living 0', '3 living 1', '3 living 2'])
  assert.equal(await stored(), 0)
})
