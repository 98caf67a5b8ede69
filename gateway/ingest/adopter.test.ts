import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { Consumer, connectBus, connectWire } from '../../infra/bus/index.ts'
import { ManualClock, systemClock } from '../../infra/clock.ts'
import { makeLog } from '../../infra/log.ts'
import { endNatsServer, startNatsServer } from '../../infra/nats/index.ts'
import { ensureSpillStream, Orphans, SpillStore } from '../../infra/spill/index.ts'
import { parseFrame, recordsOf } from '../../sdk/wire/frame.ts'
import type { CatalogView } from '../catalog/catalog.ts'
import { until } from '../testing/platform.ts'
import { Adopter } from './adopter.ts'
import { Ingest } from './ingest.ts'

const namespace = 'test'

function viewOf(backPressure: string, queueAgeMs: number): CatalogView {
  const manifest = {
    name: 'f',
    istreams: { s: { grouping: 'shuffle', backPressure, queueAgeMs } },
    ostreams: [],
  }
  const document = { schema: 1, partitions: 1, raw: false }
  const stream = { name: 's', document, producers: [], consumers: ['f'], followers: [] }
  return {
    functions: new Map([['f', { name: 'f', document: { instances: 1 }, version: { manifest } }]]),
    streams: new Map([['s', stream]]),
  } as unknown as CatalogView
}

test('Adopter sends on, in order, what a killed gateway had on disk, and counts expired records', async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'concord-adopter-'))
  const { url } = await startNatsServer({ dir, port: 0 })
  const nc = await connectBus({ url, name: 'test' })
  const wire = await connectWire({ url, name: 'test' })
  await ensureSpillStream(nc)
  const ingests: Ingest[] = []
  const spills: SpillStore[] = []
  const gateway = (id: string): Ingest => {
    const spill = new SpillStore({
      ...{ namespace, connect: () => connectBus({ url, name: id }), onTrouble: () => undefined },
    })
    const ingest = new Ingest({ wire, namespace, gatewayId: id, clock: systemClock, spill })
    spills.push(spill)
    ingests.push(ingest)
    return ingest
  }
  t.after(async () => {
    for (const ingest of ingests) await ingest.close(AbortSignal.abort())
    for (const spill of spills) await spill.close()
    wire.close()
    await nc.close()
    await endNatsServer(dir)
    await rm(dir, { recursive: true })
  })

  const spilledBy = async (id: string, from: number): Promise<Ingest> => {
    const ingest = gateway(id)
    ingest.adopt(viewOf('enqueue', 60_000))
    const batch = ingest.batch('s')
    for (let i = from; i < from + 1000; i++)
      batch.add({ key: new Uint8Array(0), value: Buffer.from(String(i).padEnd(300)), timeMs: 0 })
    batch.flush()
    await until('all is on disk', () => ingest.ledger().some(({ spilled }) => spilled === 1000))
    return ingest
  }
  await spilledBy('killed', 0)
  const living = await spilledBy('living', 1000)

  const adopting = gateway('adopting')
  adopting.adopt(viewOf('enqueue', 60_000))
  const clock = new ManualClock(Date.now())
  const log = makeLog({ name: 'test', level: 'error' })
  const orphans = new Orphans({ nc, namespace, clock })
  const outputs = () => [...living.ledger(), ...adopting.ledger()]
  const stop = new Adopter({
    ...{ orphans, ingest: adopting, clock, log, outputs },
    isOurs: () => true,
  }).start()
  t.after(stop)
  /** Not while one is under way: it would last for ages, and who lives would have been silent all the while. */
  const nextLook = (): void => {
    if (clock.isAwaited) clock.advance(5000)
  }

  const seen: number[] = []
  const consumer = new Consumer({
    ...{ wire, namespace, name: 'f', epoch: 1, clock: systemClock, hasLane: () => true },
    onFrames: () => setImmediate(drain),
  })
  t.after(() => consumer.close())
  const drain = (): void => {
    for (const frame of consumer.take(Number.POSITIVE_INFINITY)) {
      for (const { value } of recordsOf(frame.bytes, parseFrame(frame.bytes)))
        seen.push(Number(Buffer.from(value)))
      consumer.done(frame, frame.header.count - frame.skip)
    }
    consumer.acknowledge()
  }
  await until('it is adopted', () => {
    nextLook()
    return adopting.ledger().some(({ consumer: name, sent }) => name === 'f' && sent === 1000)
  })
  consumer.own('s', [0])
  await until('all have come', () => seen.length === 2000)
  const isDead = (number: number): boolean => number < 1000
  assert.deepEqual(
    seen.filter(isDead),
    Array.from({ length: 1000 }, (_, i) => i),
  )
  assert.deepEqual(
    seen.filter((number) => !isDead(number)),
    Array.from({ length: 1000 }, (_, i) => 1000 + i),
  )

  consumer.release('s', [0])
  await spilledBy('killed too', 2000)
  adopting.adopt(viewOf('enqueue', 1000)) // a minute has passed on the adopter's clock of the wall
  await until('it is counted', () => {
    nextLook()
    const row = adopting.ledger().find(({ consumer: name }) => name === 'f')
    return row?.dropped['expired'] === 1000
  })
})

test('Adopter is idle after a stop only when the chunk that it has taken off the disk is in its lane (AD4)', async () => {
  const [asked, deleted] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  let taken = 0
  const orphans = {
    heard: () => undefined,
    async *take(wants: (place: object) => boolean) {
      const place = { function: 'f', stream: 's', partition: 0 }
      while (wants(place)) {
        asked.resolve()
        await deleted.promise
        taken += 1
        yield { ...place, storedAtMs: -5, ageMs: 7, bytes: new Uint8Array(1) }
      }
    },
  } as unknown as Orphans
  const adopted: number[][] = []
  const adopt = (partition: number, _: Uint8Array, ...ages: number[]): unknown =>
    adopted.push([partition, ...ages])
  const lane = { partitions: [0], unstoredBytes: 0, adopt }
  const ingest = { lane: () => lane, hasTaken: () => true } as unknown as Ingest
  const log = makeLog({ name: 'test', level: 'error' })
  const adopter = new Adopter({
    ...{ orphans, ingest, log, clock: new ManualClock(0), isOurs: () => true, outputs: () => [] },
  })
  const stop = adopter.start()
  await asked.promise
  stop()
  let isIdle = false
  const idle = adopter.idle.then(() => {
    isIdle = true
  })
  await nextTurn()
  assert.equal(isIdle, false)
  deleted.resolve()
  await idle
  assert.deepEqual(
    [taken, adopted],
    [1, [[0, 5, 12]]],
    'it is as old as it was when it was stored, and older',
  )
})

test('Adopter leaves on disk what belongs to a stream that cannot be taken yet, whose lane is still to come (AD2)', async () => {
  const clock = new ManualClock()
  let chunks = 1
  const orphans = {
    heard: () => undefined,
    async *take(wants: (place: object) => boolean) {
      const place = { function: 'f', stream: 's', partition: 0 }
      while (wants(place) && chunks > 0) {
        chunks -= 1
        yield { ...place, storedAtMs: 0, ageMs: 0, bytes: new Uint8Array(1) }
      }
    },
  } as unknown as Orphans
  const adopted: number[] = []
  const lane = {
    ...{ partitions: [0], unstoredBytes: 0 },
    adopt: (partition: number) => adopted.push(partition),
  }
  let isTaken = false
  const ingest = { lane: () => (isTaken ? lane : undefined), hasTaken: () => isTaken } as unknown as Ingest
  const log = makeLog({ name: 'test', level: 'error' })
  const adopter = new Adopter({
    ...{ orphans, ingest, log, clock, isOurs: () => true, outputs: () => [] },
  })
  const stop = adopter.start()
  await nextTurn()
  await adopter.idle
  assert.equal(chunks, 1)
  isTaken = true
  clock.advance(5_000)
  await nextTurn()
  await adopter.idle
  assert.deepEqual([chunks, adopted], [0, [0]])
  stop()
})

test('Adopter deletes what waits for an earlier function of the same name (AD3)', async () => {
  const orphans = {
    heard: () => undefined,
    async *take() {
      for (const createdAtMs of [1, 2, undefined])
        yield {
          function: 'f',
          stream: 's',
          partition: 0,
          createdAtMs,
          storedAtMs: 0,
          bytes: new Uint8Array(1),
        }
    },
  } as unknown as Orphans
  let adopted = 0
  const adopt = () => void adopted++
  const ingest = { lane: () => ({ partitions: [0], createdAtMs: 2, adopt }), hasTaken: () => true }
  const adopter = new Adopter({
    ...{ orphans, ingest: ingest as unknown as Ingest, log: makeLog({ name: 'test', level: 'error' }) },
    ...{ clock: new ManualClock(), isOurs: () => true, outputs: () => [] },
  })
  const stop = adopter.start()
  await nextTurn()
  await adopter.idle
  stop()
  assert.equal(adopted, 2, 'its own, and that of a producer that did not know')
})
