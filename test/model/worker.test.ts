import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { Consumer, originOf, Producer } from '../../infra/bus/index.ts'
import { decodeCredit } from '../../infra/bus/messages/credit.ts'
import { SimNet } from '../../infra/bus/wire/sim-net.ts'
import type { CheckpointStore } from '../../infra/checkpoints/index.ts'
import { type Clock, ManualClock, systemClock } from '../../infra/clock.ts'
import type { FunctionAssignment, InstanceAssignment } from '../../infra/control/messages/assignment.ts'
import type { StreamDescriptor } from '../../infra/control/messages/streams.ts'
import { infraError } from '../../infra/errors.ts'
import { Checkpointer } from '../../runner/checkpoint/checkpointer.ts'
import { StateKeeper } from '../../runner/checkpoint/state-keeper.ts'
import type { LetterBox } from '../../runner/failures/letter-box.ts'
import { Allowances } from '../../runner/instance/allowances.ts'
import { Worker } from '../../runner/instance/worker.ts'
import { fn, record, start } from '../../runner/isolate/testing/harness.ts'
import type { Ending } from '../../runner/process/ending.ts'
import { ample } from '../../runner/process/relief.ts'
import type { Verdict } from '../../runner/succession/trial.ts'
import type { ManifestInput } from '../../sdk/manifest/manifest.ts'
import { frameOf, parseFrame } from '../../sdk/wire/frame.ts'
import { MetricSums } from '../../sdk/wire/user-metrics.ts'
import { Random } from '../simulation/random.ts'
import { MemoryStore } from './real-worker/store.ts'

const input: StreamDescriptor = {
  name: 'in',
  partitions: 2,
  keyed: true,
  consumers: [{ name: 'fn', backPressure: 'block' }],
}

interface Bench {
  readonly net: SimNet
  readonly worker: Worker
  readonly producer: Producer
  readonly endings: Ending[]
  /** Failed callbacks, with their versions. */
  readonly failed: string[]
  readonly assignment: FunctionAssignment
  readonly instance: InstanceAssignment
  readonly send: (text: string, partition?: number) => void
  /** Lets the net move until something is so. */
  readonly until: (is: () => boolean) => Promise<void>
  /** What the worker says to the others, in order. */
  readonly said: Said[]
}

/** A frame, or none, to an owner downstream; a claim of what it has; how many records of its own producer it has touched. */
type Said = { readonly out: number } | 'claim' | { readonly touched: number }

function saidIn(subject: string, bytes: Uint8Array): Said[] {
  if (subject.includes('.s.out.')) return [{ out: parseFrame(bytes).count }]
  if (subject.includes('.c.claim')) return ['claim']
  if (!subject.includes('.c.credit.')) return []
  return decodeCredit(bytes).entries.map(({ touched, accepted }) => ({ touched: touched ?? accepted }))
}

/** A store that knows the claim of each slot, and does not answer until it fails. */
function silentStore(): { readonly store: CheckpointStore; readonly fail: () => void } {
  const { promise, reject } = Promise.withResolvers<never>()
  promise.catch(() => undefined)
  let claims = 0
  const store = {
    readManifest: () => (claims === 0 ? Promise.resolve(undefined) : promise),
    writeManifest: () => (claims++ === 0 ? Promise.resolve(1) : promise),
    putPart: () => promise,
  } as unknown as CheckpointStore
  return { store, fail: () => reject(infraError('ERR_CHECKPOINT_STORE', 'nobody answers')) }
}

/** A store that knows the claim of each slot, and refuses everything else while it is full. */
function fullStore(): { readonly store: CheckpointStore; isFull: boolean } {
  let revision = 0
  const take = async (): Promise<number> => {
    if (revision > 0 && disk.isFull) throw infraError('ERR_CHECKPOINT_STORE', 'there is no room')
    return ++revision
  }
  const disk = {
    isFull: true,
    store: {
      readManifest: async () => undefined,
      writeManifest: take,
      putPart: take,
      removeStrays: async () => 0,
      remove: async () => undefined,
    } as unknown as CheckpointStore,
  }
  return disk
}

/** A worker over a simulated net, with a producer of its input. */
async function bench(
  body: string,
  onError: ManifestInput['onError'],
  { store, clock = systemClock }: { readonly store?: CheckpointStore; readonly clock?: Clock } = {},
): Promise<Bench> {
  const net = new SimNet()
  const { instance: isolate, manifest } = await start(fn(body), { manifest: { onError } })
  const output: StreamDescriptor = { name: 'out', partitions: 4, keyed: true, consumers: [] }
  const streams = { in: input, out: output }
  const assignment = {
    function: 'fn',
    version: 1,
    manifest,
    groupings: { in: 'groupBy' },
    streams,
  } as unknown as FunctionAssignment
  const instance: InstanceAssignment = {
    id: 'fn-0',
    function: 'fn',
    index: 0,
    epoch: 1,
    partitions: { in: [0] },
  }
  const endings: Ending[] = []
  const failed: string[] = []
  const wire = net.connect()
  const said: Said[] = []
  const publish = wire.publish.bind(wire)
  wire.publish = (subject, bytes) => {
    said.push(...saidIn(subject, bytes))
    publish(subject, bytes)
  }
  const letters = {
    openBytes: 0,
    flush: () => undefined,
    answered: async () => undefined,
  } as unknown as LetterBox
  const warn = (): void => undefined
  const checkpointer =
    store &&
    new Checkpointer(
      {
        ...{
          store,
          clock,
          everyMs: 60_000,
          bytesPerSecond: 1e9,
          version: 1,
          groupings: assignment.groupings,
        },
        ...{ warn, onDue: () => undefined, onSuperseded: () => undefined },
      },
      instance,
    )
  const restored = (await checkpointer?.slots.begin(0)) ?? new Map<number, never>()
  for (const partition of restored.keys()) checkpointer?.slots.own(partition)
  const worker = new Worker({
    ...{
      wire,
      namespace: 'n',
      clock,
      assignment,
      instance,
      isolate,
      metrics: new MetricSums(),
    },
    letters,
    keeper: checkpointer && new StateKeeper(checkpointer, isolate, new Map(), { clock, wire, letters }),
    allowances: new Allowances(wire, 'n', 't'),
    gone: () => [],
    onEnd: (ending) => endings.push(ending),
    standing: ample,
    onHeapFull: () => undefined,
    warn,
    ask: () => Promise.reject(new Error('nobody is there')),
    onMoved: () => undefined,
    onWant: () => undefined,
    onFailure: ({ version }, action) => failed.push(`v${version} ${action}`),
  })
  const producer = new Producer({
    ...{ wire: net.connect(), namespace: 'n', clock },
    ...{ origin: originOf('n', 'p', 0), epoch: 1 },
  })
  producer.setStream(input)
  worker.start()
  const send = (text: string, partition = 0): void =>
    producer.send('in', partition, frameOf([record(text)]), 1)
  const until = async (is: () => boolean): Promise<void> => {
    while (!is()) {
      for (let steps = 0; steps < 100 && net.step(0); ) steps++
      await turn()
    }
  }
  return { net, worker, producer, endings, failed, assignment, instance, send, until, said }
}

/** Stops a worker, while time passes. */
async function stopped(worker: Worker, until: (done: () => boolean) => Promise<void>): Promise<void> {
  let isStopped = false
  void worker.stop().then(() => {
    isStopped = true
  })
  await until(() => isStopped)
}

test('Worker ends in order when what is set aside fails for good while partitions go', {
  timeout: 300_000,
}, async () => {
  const { worker, producer, endings, assignment, instance, send, until } = await bench(
    `throw new Error('no')`,
    // biome-ignore lint/suspicious/noThenProperty: so the policy is spelled -- it is data
    { retry: 3, then: 'fail', waitMs: 600_000, waitMaxMs: 600_000 },
  )
  send('poison')
  await until(() => worker.report().setAside === 1)
  void worker.reassign(assignment, { ...instance, epoch: 2, partitions: { in: [] } })
  await until(() => endings.length > 0)
  assert.equal(endings[0]!.reason, 'functionFailed')
  await until(() => producer.ledger().find((row) => row.consumer === 'fn')!.acked === 1)
  const [row] = producer.ledger().filter(({ consumer }) => consumer === 'fn')
  assert.deepEqual(row!.dropped, { failed: 1 })
  assert.equal(row!.unaccounted, 0)
  void producer.close()
})

test('Worker tells why it failed, and leaves its channels first, when partitions were to go at that moment', {
  timeout: 300_000,
}, async () => {
  const { worker, producer, endings, assignment, instance, send, until } = await bench(
    `return new Promise((_, reject) => setTimeout(() => reject(new Error('no')), 300))`,
    'fail',
  )
  send('poison')
  await until(() => worker.report().inputs[0]?.received === 1)
  void worker.reassign(assignment, { ...instance, epoch: 2, partitions: { in: [] } })
  await until(() => endings.length > 0)
  assert.equal(endings[0]!.reason, 'functionFailed')
  assert.equal(endings.length, 1)
  void producer.close()
})

test('Worker counts what it did since its state began if it is stopped and the store takes nothing of it (LV3)', {
  timeout: 300_000,
}, async () => {
  const { store, fail } = silentStore()
  const { worker, producer, send, until } = await bench(`ctx.setState('k', record.text())`, 'fail', { store })
  const row = () => producer.ledger().find(({ consumer }) => consumer === 'fn')!
  for (const text of ['one', 'two', 'three']) send(text)
  await until(() => worker.report().recordsIn === 3)
  let isStopped = false
  void worker.stop().then(() => {
    isStopped = true
  })
  fail()
  await until(() => isStopped)
  assert.equal(row().acked, 3)
  assert.deepEqual([row().dropped, row().unaccounted], [{ unstored: 3 }, 0])
  void producer.close()
})

test('Worker counts what it did since its state began if it is stopped, and the store has refused it all along (FS1, LV3)', {
  timeout: 300_000,
}, async () => {
  const { store } = fullStore()
  const { worker, producer, send, until } = await bench(`ctx.setState('k', record.text())`, 'fail', { store })
  const row = () => producer.ledger().find(({ consumer }) => consumer === 'fn')!
  for (const text of ['one', 'two', 'three']) send(text)
  let looked = 0
  await until(() => worker.report().recordsIn === 3 && (row().acked > 0 || ++looked === 100))
  assert.equal(row().acked, 0, 'a kill would be counted too')
  await stopped(worker, until)
  assert.deepEqual([row().acked, row().dropped, row().unaccounted], [3, { unstored: 3 }, 0])
  void producer.close()
})

test('Worker leaves once if it is stopped twice, with a store that gives no answer', {
  timeout: 60_000,
}, async () => {
  const clock = new ManualClock()
  const { store } = silentStore()
  const body = `ctx.setState('k', record.text())`
  const { worker, producer, send, until } = await bench(body, 'fail', { store, clock })
  send('one')
  await until(() => worker.report().recordsIn === 1)
  let stopped = 0
  const stop = (): void => void worker.stop().then(() => stopped++)
  stop()
  stop()
  await until(() => {
    clock.advance(10)
    return stopped > 0
  })
  await turn()
  assert.equal(stopped, 2)
  stop()
  await turn()
  assert.equal(stopped, 3)
  void producer.close()
})

test('Worker acknowledges what it did since its state began as soon as the store takes it (FS1)', {
  timeout: 300_000,
}, async () => {
  const disk = fullStore()
  const { store } = disk
  const clock = new ManualClock()
  const { worker, producer, send, until } = await bench(`ctx.setState('k', record.text())`, 'fail', {
    store,
    clock,
  })
  const row = () => producer.ledger().find(({ consumer }) => consumer === 'fn')!
  for (const text of ['one', 'two', 'three']) send(text)
  await until(() => worker.report().recordsIn === 3)
  disk.isFull = false
  await until(() => {
    clock.advance(10)
    return row().acked === 3
  })
  assert.deepEqual([row().dropped, row().unaccounted], [{}, 0])
  await stopped(worker, until)
  void producer.close()
})

test('Worker counts what it did since its state began if it fails, and the store gives no answer meanwhile (LV3)', {
  timeout: 300_000,
}, async () => {
  const { store, fail } = silentStore()
  const body = `if (record.text() === 'bad') throw new Error('no'); ctx.setState('k', record.text())`
  const { worker, producer, endings, send, until } = await bench(body, 'fail', { store })
  const row = () => producer.ledger().find(({ consumer }) => consumer === 'fn')!
  for (const text of ['one', 'two', 'three']) send(text)
  await until(() => worker.report().recordsIn === 3)
  send('bad')
  await until(() => worker.report().state === 'failed')
  fail()
  await until(() => endings.length > 0)
  await until(() => row().acked === 4)
  assert.deepEqual([row().dropped, row().unaccounted], [{ unstored: 3, failed: 1 }, 0])
  void producer.close()
})

test('Worker ends in order, with its state stored, when it cannot read that of a share which it is to have', {
  timeout: 300_000,
}, async () => {
  const clock = new ManualClock()
  const stored = new MemoryStore(clock, new Random(1)).connect(() => false)
  const torn = infraError('ERR_CHECKPOINT_CORRUPT', 'it is torn')
  const store: CheckpointStore = {
    ...stored,
    readManifest: (slot) => (slot === '1' ? Promise.reject(torn) : stored.readManifest(slot)),
  }
  const body = `ctx.setState('k', record.text())`
  const { worker, producer, endings, assignment, instance, send, until } = await bench(body, 'fail', {
    store,
    clock,
  })
  for (const text of ['one', 'two', 'three']) send(text)
  await until(() => worker.report().recordsIn === 3)
  void worker.reassign(assignment, { ...instance, epoch: 2, partitions: { in: [0, 1] } })
  await until(() => endings.length > 0)
  assert.deepEqual(
    endings.map(({ reason }) => reason),
    ['checkpoint'],
  )
  const { current } = (await stored.readManifest('0'))!.manifest
  assert.deepEqual([current?.clean, current?.inputs['in']?.positions[0]?.through], [true, 3])
  const row = () => producer.ledger().find(({ consumer }) => consumer === 'fn')!
  await until(() => row().acked === 3)
  assert.equal(row().unaccounted, 0)
  assert.ok(worker.running.isolate.isEnded, 'nothing of it is left where its neighbours go on')
  void producer.close()
})

test('Worker goes on while the store gives no answer about a share that it is to have, and takes it when it does', {
  timeout: 300_000,
}, async () => {
  const clock = new ManualClock()
  const stored = new MemoryStore(clock, new Random(1))
  const store = stored.connect(() => false)
  const body = `ctx.setState('k', record.text())`
  const { worker, producer, endings, assignment, instance, send, until } = await bench(body, 'fail', {
    store,
    clock,
  })
  send('one')
  await until(() => worker.report().inputs[0]?.processed === 1)
  stored.isSilent = true
  void worker.reassign(assignment, { ...instance, epoch: 2, partitions: { in: [0, 1] } })
  send('three', 1)
  const pass = async (ms: number): Promise<void> => {
    let rounds = 0
    await until(() => ++rounds > 20)
    clock.advance(ms)
  }
  for (let reads = 0; reads < 3; reads++) {
    await pass(30_000) // the store's time limit
    await pass(1_000)
  }
  send('two')
  let looked = 0
  await until(() => worker.report().recordsIn === 2 || ++looked === 2_000)
  assert.equal(worker.report().recordsIn, 2)
  assert.deepEqual(endings, [])
  stored.isSilent = false
  await pass(1_000)
  await until(() => worker.report().recordsIn === 3)
  void worker.stop()
  void producer.close()
})

test('Worker reports no failure if it is stopped while the version before is stuck at a record of the one on trial', {
  timeout: 300_000,
}, async () => {
  const clock = new ManualClock()
  const { worker, producer, endings, assignment, send, until } = await bench(
    'return new Promise((_, reject) => setTimeout(reject, 1e9))',
    'fail',
    { clock },
  )
  const { instance: isolate } = await start(fn(`throw new Error('no')`), { onTrial: true })
  const next = { isolate, assignment: { ...assignment, version: 2 } }
  const rules = { records: 10, errors: 0, ms: 60_000 }
  const verdicts: Verdict[] = []
  await worker.succession.swap(next, rules, (verdict) => verdicts.push(verdict))
  send('poison')
  await until(() => worker.report().batches === 2) // the second is that of the version before
  let isStopped = false
  void worker.stop().then(() => {
    isStopped = true
  })
  clock.advance(3_000)
  await until(() => isStopped)
  assert.deepEqual(endings, [])
  const [row] = producer.ledger().filter(({ consumer }) => consumer === 'fn')
  assert.deepEqual([row!.acked, row!.dropped], [1, { failed: 1 }])
  void producer.close()
})

test('Worker drops a record at which a version on trial throws, and the one before, which had been on trial itself', {
  timeout: 300_000,
}, async () => {
  const { worker, producer, endings, failed, assignment, send, until } = await bench('', 'skip')
  const rules = { records: 10, errors: 0, ms: 60_000 }
  for (const version of [2, 3]) {
    const { instance: isolate } = await start(fn(`throw new Error('no')`), {
      onTrial: true,
      manifest: { onError: 'skip' },
    })
    await worker.succession.swap({ isolate, assignment: { ...assignment, version } }, rules, () => undefined)
  }
  send('poison')
  const row = () => producer.ledger().find(({ consumer }) => consumer === 'fn')!
  let looked = 0
  await until(() => row().acked === 1 || ++looked === 2_000)
  assert.deepEqual([row().acked, row().dropped, worker.running.assignment.version], [1, { skipped: 1 }, 3])
  assert.deepEqual(failed, ['v2 skip'])
  await stopped(worker, until)
  assert.deepEqual(endings, [])
  void producer.close()
})

test('Worker fences off who had its slot before it claims, and puts nothing out of a record before it has said that it touched it (K2 of worker.ts)', {
  timeout: 300_000,
}, async () => {
  const clock = new ManualClock(1_000_000)
  const body = `ctx.produceRecord('out', '', 'x', { partition: 0 })`
  const { worker, producer, endings, send, until, said } = await bench(body, 'fail', { clock })
  const fence = { out: 0 }
  assert.deepEqual(said.slice(0, 5), [fence, fence, fence, fence, 'claim'])
  const outputs = (): number =>
    said.reduce((sum, what) => sum + (what !== 'claim' && 'out' in what ? what.out : 0), 0)
  for (let records = 1; records <= 4; records++) {
    send('a')
    await until(() => outputs() === records)
    clock.advance(5_000) // behind the first it announces no record before it runs
  }
  let touched = 0
  let out = 0
  for (const what of said.filter((each) => each !== 'claim')) {
    if ('touched' in what) touched = Math.max(touched, what.touched)
    else out += what.out
    assert.ok(out <= touched, `${out} records are put out, ${touched} touched: ${JSON.stringify(said)}`)
  }
  await stopped(worker, until)
  assert.deepEqual(endings, [])
  void producer.close()
})

test('Worker ends as superseded when a later epoch claims what it has', { timeout: 300_000 }, async () => {
  const { net, worker, endings, until } = await bench('', 'skip')
  const next = new Consumer({
    ...{ wire: net.connect(), namespace: 'n', clock: systemClock, name: 'fn', nameOf: () => 'fn', epoch: 2 },
    onFrames: () => undefined,
  })
  next.own('in', [0], 2)
  let looked = 0
  await until(() => endings.length > 0 || ++looked === 2_000)
  assert.equal(endings[0]?.reason, 'superseded')
  void worker.stop()
})
