import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { ManualClock } from '../../infra/clock.ts'
import type { Heartbeat } from '../../infra/control/messages/heartbeat.ts'
import type { Log } from '../../infra/log.ts'
import type { FunctionDocument, ScalingDocument } from '../../infra/store/index.ts'
import { manifestSchema } from '../../sdk/manifest/manifest.ts'
import type { ScalePolicyInput } from '../../sdk/scaling/index.ts'
import type { Wanted } from '../core/index.ts'
import { Scaler } from './scaler.ts'

const log = { info: () => undefined } as unknown as Log

/** A scaler with one function, whose decisions take effect at once. */
class Rig {
  readonly clock = new ManualClock(1_000_000)
  readonly saved: ScalingDocument[] = []
  readonly scaled: (readonly [from: number, to: number])[] = []
  /** How often all functions were passed over. */
  walks = 0
  document: FunctionDocument
  /** What is known of starts. */
  startMs: number | undefined
  readonly #policy: ScalePolicyInput
  #scaler: Scaler
  #sent = 0
  #done = 0

  constructor(policy: ScalePolicyInput, document: Partial<FunctionDocument> = {}) {
    this.#policy = policy
    this.document = { schema: 1, version: 1, instances: 1, createdAtMs: 1, ...document }
    this.#scaler = this.#make(new Map())
  }

  /** Another leader takes over. */
  failOver(): void {
    this.#scaler.close()
    const last = this.saved.at(-1)
    this.#scaler = this.#make(new Map(last && [['f', last]]))
  }

  /** So many records arrive in each of these seconds; an instance processes 500 a second. */
  pass(seconds: number, perSecond: number): void {
    for (let second = 0; second < seconds; second++) {
      this.#done = Math.min(this.#sent + perSecond, this.#done + 500 * this.document.instances)
      this.arrive(perSecond)
      this.clock.advance(1000)
    }
  }

  /** So many records arrive, and their gateway reports them at once. */
  arrive(records: number): void {
    this.#sent += records
    this.#beat()
  }

  #make(kept: ReadonlyMap<string, ScalingDocument>): Scaler {
    const scaler = new Scaler(
      {
        ...{ clock: this.clock, log, startMs: () => this.startMs },
        save: (_name, document) => void this.saved.push(document),
        scale: (_name, from, to) => {
          this.scaled.push([from, to])
          this.document = { ...this.document, instances: to }
          scaler.want(this.#wanted())
        },
      },
      kept,
    )
    scaler.want(this.#wanted())
    scaler.start()
    return scaler
  }

  #wanted(): Wanted {
    const manifest = manifestSchema.parse({
      name: 'f',
      istreams: { s: { grouping: 'groupBy' } },
      scale: this.#policy,
    })
    const version = {
      schema: 1,
      version: 1,
      bundleSha256: '',
      bundleBytes: 0,
      manifest,
      deployedAtMs: 0,
    } as const
    const fn = { document: this.document, versions: new Map([[1, version]]) }
    const functions = new Map([['f', fn]])
    const walk = functions[Symbol.iterator].bind(functions)
    functions[Symbol.iterator] = () => {
      this.walks += 1
      return walk()
    }
    return { functions, streams: new Map(), followers: new Map(), commands: new Map() }
  }

  #beat(): void {
    const outputs = [
      { stream: 's', consumer: 'f', sent: this.#sent, acked: this.#done, dropped: {}, unaccounted: 0 },
    ]
    const base = {
      schema: 1,
      incarnation: 'i',
      generation: 1,
      state: 'running',
      pid: 1,
      rssBytes: 0,
      cpuSeconds: 0,
    } as const
    const sentAtMs = this.clock.monotonicMs()
    const gateway: Heartbeat = { ...base, kind: 'gateway', id: 'g', sentAtMs, instances: [], outputs }
    this.#scaler.hear(gateway)
    const elapsedMs = sentAtMs - 900_000
    const instances = Array.from({ length: this.document.instances }, (_, index) => ({
      ...{
        id: `f-${index}`,
        function: 'f',
        index,
        epoch: 1,
        version: 1,
        state: 'running' as const,
        recordsIn: 0,
      },
      ...{
        recordsOut: 0,
        errors: 0,
        timersFired: 0,
        batches: 0,
        stateEntries: 0,
        stateBytes: 0,
        heapBytes: 0,
      },
      ...{ cpuSeconds: 0, outputs: [], inputs: [] },
      // All processed records, divided evenly, each with 2 ms of work.
      ...(index === 0 && { recordsIn: this.#done }),
      work: { elapsedMs, idleMs: index === 0 ? elapsedMs - this.#done * 2 : elapsedMs, blockedMs: 0 },
    }))
    this.#scaler.hear({ ...base, kind: 'runner', id: 't', sentAtMs, instances })
  }
}

test('Scaler follows a load up and down, and writes down why', () => {
  const rig = new Rig({ max: 16, up: { step: 16 }, down: { afterMs: 20_000, coolDownMs: 0, step: 16 } })
  rig.pass(10, 100)
  assert.deepEqual(rig.scaled, [])
  rig.pass(15, 2000)
  const reached = rig.document.instances
  assert.ok(reached >= 5 && reached <= 16, `${reached}`)
  assert.match(rig.saved.at(-1)!.changes[0]!.because, /records\/s come, .* wait .* needed/)
  rig.pass(60, 100)
  assert.equal(rig.document.instances, 1)
  assert.ok(rig.scaled.length <= 5, JSON.stringify(rig.scaled))
})

test('Scaler keeps a pin, and says what the policy would do', () => {
  const rig = new Rig({ max: 16 }, { pinned: true })
  rig.pass(20, 5000)
  assert.deepEqual(rig.scaled, [])
  assert.match(rig.saved.at(-1)!.latest!.because, /^a person wants 1; by the policy: .* needed/)
})

test('Scaler goes to zero without input, and returns at the heartbeat that reports the first record (SC3)', () => {
  const rig = new Rig({ min: 0, max: 4, idle: { afterMs: 5000 } })
  rig.pass(5, 10)
  rig.pass(10, 0)
  assert.equal(rig.document.instances, 0)
  rig.arrive(1)
  assert.equal(rig.document.instances, 1, 'before time has moved')
  assert.equal(rig.saved.at(-1)!.changes.at(-1)!.because, 'records wait, and nobody is there')
})

test('Scaler of a new leader continues with the stored count and reasons, and scales down only after it has seen enough', () => {
  const rig = new Rig({ max: 16, up: { step: 16 }, down: { afterMs: 20_000, coolDownMs: 0, step: 16 } })
  rig.pass(10, 2000)
  const reached = rig.document.instances
  assert.ok(reached > 1)
  rig.failOver()
  rig.pass(15, 100)
  assert.equal(rig.document.instances, reached)
  rig.pass(15, 100)
  assert.equal(rig.document.instances, 1)
  assert.equal(rig.saved.at(-1)!.changes[0]!.from, 1, 'what the last leader has changed is among them')
})

test('Scaler decides the same however its wall clock is set (SC4)', () => {
  const policy = {
    ...{ min: 0, max: 16, idle: { afterMs: 15_000 } },
    ...{ up: { step: 16, coolDownMs: 5000 }, down: { afterMs: 10_000, coolDownMs: 5000, step: 16 } },
  }
  const hourMs = 3_600_000
  const stretch = fc.record({
    seconds: fc.nat(25),
    perSecond: fc.constantFrom(0, 100, 2000),
    jumpMs: fc.integer({ min: -hourMs, max: hourMs }),
  })
  fc.assert(
    fc.property(fc.array(stretch, { maxLength: 6 }), (stretches) => {
      const [still, set] = [new Rig(policy), new Rig(policy)]
      for (const { seconds, perSecond, jumpMs } of stretches) {
        set.clock.set(set.clock.nowMs() + jumpMs)
        for (const rig of [still, set]) rig.pass(seconds, perSecond)
      }
      assert.deepEqual(set.scaled, still.scaled)
    }),
    { numRuns: 50 },
  )
})

test('Scaler of a new leader whose clock is behind the last one waits for no more than a cool-down', () => {
  const rig = new Rig({ max: 16, up: { step: 1, coolDownMs: 10_000 } })
  rig.pass(10, 2000)
  assert.equal(rig.document.instances, 2)
  rig.clock.set(0)
  rig.failOver()
  rig.pass(15, 2000)
  assert.deepEqual(rig.scaled, [
    [1, 2],
    [2, 4],
  ])
})

test('Scaler of a new leader knows how long a start takes, and works a backlog off in three of them', () => {
  const rig = new Rig({ max: 64, up: { step: 64 } })
  rig.startMs = 20_000
  rig.pass(10, 100)
  rig.failOver()
  rig.startMs = undefined
  rig.pass(8, 2000)
  assert.equal(rig.saved.at(-1)!.latest!.load.startMs, 20_000)
  assert.match(rig.saved.at(-1)!.changes[0]!.because, /an instance starts in 20 s and does/)
  assert.deepEqual(rig.scaled, [[1, 6]])
  rig.startMs = 1_000
  rig.pass(12, 2000)
  assert.equal(rig.saved.at(-1)!.latest!.load.startMs, 1_000, 'its own')
})

test('Scaler does not look at all functions when records wait for one that works', () => {
  const rig = new Rig({ min: 0, max: 4, idle: { afterMs: 5000 } })
  rig.pass(5, 10)
  const before = rig.walks
  rig.arrive(7)
  assert.equal(rig.walks, before)
})
