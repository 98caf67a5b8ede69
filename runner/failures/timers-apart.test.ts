import assert from 'node:assert/strict'
import { getEventListeners } from 'node:events'
import { test } from 'node:test'
import fc from 'fast-check'
import type { TriedTimer } from '../../infra/checkpoints/index.ts'
import { ManualClock } from '../../infra/clock.ts'
import type { FunctionAssignment } from '../../infra/control/messages/assignment.ts'
import type { ErrorPolicy } from '../../sdk/function.ts'
import { type FailurePolicy, policyOf } from '../../sdk/manifest/policy.ts'
import type { Timer } from '../../sdk/runtime/index.ts'
import { recordAt } from '../../sdk/wire/frame.ts'
import { type TimerSlot, TriedTimers } from '../checkpoint/tried-timers.ts'
import { type BatchResult, type Isolate, isolateError } from '../isolate/index.ts'
import { TimerReactions, type TimerReactionsOptions } from './timer-reactions.ts'
import { TimersApart } from './timers-apart.ts'

/** What a timer's callback does to the process that calls it. */
type Kind = 'good' | 'breaks' | 'aborts'

/** What outlives processes: of each partition its timers as last stored, and its manifest. */
interface Stored {
  timers: string[]
  claimed: number
  cut: number
  tried: readonly TriedTimer[]
}

/** Waits are over as soon as they begin. */
class HastyClock extends ManualClock {
  override after(_ms: number, run: () => void): () => void {
    run()
    return () => undefined
  }
}

const never = (): boolean => false

/** The process has ended without a word. */
class Aborted extends Error {}

interface Trace {
  readonly fired: string[]
  readonly dropped: Record<string, number>
  readonly letters: string[]
  ends: number
}

class World {
  readonly #kinds: ReadonlyMap<string, Kind>
  readonly #policy: ErrorPolicy
  readonly #stored: Stored[]
  #version = 1
  readonly #fails: () => boolean
  readonly #stops: () => boolean
  readonly trace: Trace = { fired: [], dropped: {}, letters: [], ends: 0 }
  #epoch = 1

  /** @param fails Whether a call of the store does. @param stops Whether its owner is stopped while the store is told. */
  constructor(
    timers: readonly (readonly Kind[])[],
    policy: ErrorPolicy,
    { fails = never, stops = never } = {},
  ) {
    const name = (partition: number, n: number): string => `${partition}.${n}`
    this.#kinds = new Map(timers.flatMap((kinds, p) => kinds.map((one, n) => [name(p, n), one] as const)))
    this.#stored = timers.map((kinds, p) => ({
      ...{ timers: kinds.map((_, n) => name(p, n)), claimed: 1, cut: 1, tried: [] },
    }))
    this.#policy = policy
    this.#fails = fails
    this.#stops = stops
  }

  /** Another version is at work, which calls all of them. */
  mend(): void {
    this.#version = 2
  }

  get left(): readonly string[] {
    return this.#stored.flatMap(({ timers }) => timers)
  }

  /** One owner, from its claim to its end, or until no timer is left. @returns Whether it goes on. */
  async own(): Promise<boolean> {
    const clock = new HastyClock(1_000)
    this.#epoch++
    const end = new AbortController()
    const stopping = end.signal
    const slots = this.#stored.map((stored, partition) => this.#slotOf(stored, partition, end))
    const tried = new TriedTimers(async () => undefined)
    for (const slot of slots) tried.add(slot)
    const timers = this.#stored.map((stored) => [...stored.timers])
    const nextOf = (): Timer | undefined => {
      const partition = timers.findIndex((list) => list.length > 0)
      return partition < 0 ? undefined : { partition, key: timers[partition]![0]!, timeMs: 500 }
    }
    const store = async (isLast = false): Promise<boolean> => {
      if (!isLast && this.#fails()) return false
      for (const [partition, stored] of this.#stored.entries()) {
        stored.timers = [...timers[partition]!]
        stored.cut = stored.claimed = this.#epoch
        stored.tried = slots[partition]!.timers
      }
      return true
    }
    const call = async (): Promise<BatchResult> => {
      const timer = nextOf()!
      const kind = this.#kinds.get(timer.key)!
      if (kind === 'aborts' && this.#version === 1) throw new Aborted()
      if (kind === 'breaks' && this.#version === 1)
        return { ...result, fatal: isolateError('ERR_DEADLINE', 'too long'), timerAtHand: timer }
      this.trace.fired.push(timer.key)
      timers[timer.partition]!.shift()
      return { ...result, timersFired: 1 }
    }
    const assignment = (): FunctionAssignment =>
      ({ function: 'f', version: this.#version, manifest: { onError: this.#policy } }) as FunctionAssignment
    const reactions = new TimerReactions({
      ...{ clock, assignment, stopping, tried, instance: { id: 'f-0', index: 0 }, onGiven: () => undefined },
      acknowledger: { await: () => undefined },
      letters: {
        post: async ({ letters }) =>
          letters.map(
            ({ bytes, at }) => this.trace.letters.push(`${Buffer.from(recordAt(bytes, at).key)}`) > 0,
          ),
        flush: () => undefined,
      },
    } satisfies TimerReactionsOptions)
    const apart = new TimersApart({
      ...{ clock, assignment, stopping, tried, store, publish: () => undefined, warn: () => undefined },
      reactions: {
        timers: reactions,
        settleBroken: (_batch, { fatal, timerAtHand }) => reactions.settle(timerAtHand!, fatal!, crashed),
      },
      isolate: () =>
        ({
          atTimers: async () => ({
            next: async () => nextOf(),
            run: call,
            drop: async ({ partition, key }: Timer) => {
              timers[partition] = timers[partition]!.filter((name) => name !== key)
            },
          }),
        }) as unknown as Isolate,
    })
    try {
      let ending = apart.isDue ? await apart.run() : undefined
      while (ending === undefined && nextOf() !== undefined && !stopping.aborted) {
        const { fatal, timerAtHand } = await call() // as in a batch
        if (fatal !== undefined) ending = reactions.settle(timerAtHand!, fatal, crashed)
      }
      await store(true) // an orderly end, or a checkpoint
      if (ending === undefined && !stopping.aborted) return false
    } catch (error) {
      if (!(error instanceof Aborted)) throw error
    } finally {
      assert.equal(getEventListeners(stopping, 'abort').length, 0)
      for (const [reason, count] of Object.entries(reactions.dropped))
        this.trace.dropped[reason] = (this.trace.dropped[reason] ?? 0) + count
    }
    this.trace.ends++
    return true
  }

  #slotOf(stored: Stored, partition: number, end: AbortController): TimerSlot {
    const slot = {
      partition,
      timers: stored.tried,
      inDoubt: stored.claimed !== stored.cut,
      clear: () => {
        slot.inDoubt = false
      },
      tell: async () => {
        if (slot.timers === stored.tried) return
        if (this.#fails()) throw new Error('the store does not answer')
        stored.tried = slot.timers
        if (this.#stops()) end.abort()
      },
    }
    stored.claimed = this.#epoch
    return slot
  }
}

const crashed = { code: 1, reason: 'deadline', message: 'ended' } as const
const result: BatchResult = {
  ...{
    records: 0,
    outputs: () => [],
    failures: [],
    timersFired: 0,
    retries: 0,
    recordsOut: 0,
    elsewhere: 0,
    pending: false,
  },
}

const kind = fc.constantFrom<Kind>('good', 'good', 'good', 'breaks', 'aborts')
const world = fc.array(fc.array(kind, { maxLength: 6 }), { minLength: 1, maxLength: 3 })
const policies = fc.constantFrom<ErrorPolicy>(
  'skip',
  'deadLetter',
  'fail',
  // biome-ignore lint/suspicious/noThenProperty: a policy, never a thenable -- API
  { retry: 1, then: 'skip' },
  // biome-ignore lint/suspicious/noThenProperty: a policy, never a thenable -- API
  { retry: 3, then: 'deadLetter' },
)

/** Ends that a timer of a kind may cost: those that nobody could foresee, and its attempts. */
function endsMost(kinds: readonly Kind[], { retries }: FailurePolicy): number {
  const of = { good: 0, breaks: retries + 1, aborts: retries + 3 }
  return kinds.reduce((sum, one) => sum + of[one], 0)
}

/** Names of those that are of such a kind. */
function named(timers: readonly (readonly Kind[])[], isGood: boolean): string[] {
  return timers.flatMap((kinds, p) =>
    kinds.flatMap((one, n) => ((one === 'good') === isGood ? [`${p}.${n}`] : [])),
  )
}

const luck = fc.array(fc.boolean(), { minLength: 1, maxLength: 30 })

/** What comes out as drawn, time and again, but for the first calls only. */
function drawn(isGood: readonly boolean[]): () => boolean {
  let calls = 0
  return () => !isGood[calls++ % isGood.length]! && calls < 200
}

const numRuns = Number(process.env['CONCORD_RUNS'] ?? 300)

test('TimersApart: every good timer is called, and every bad one is dropped once, after a bounded number of ends', async () => {
  await fc.assert(
    fc.asyncProperty(world, policies, async (timers, onError) => {
      const policy = policyOf(onError)
      const it = new World(timers, onError)
      const most = endsMost(timers.flat(), policy)
      while (await it.own()) assert.ok(it.trace.ends <= most, 'it loops')
      const bad = named(timers, false)
      assert.deepEqual(it.left, [])
      assert.deepEqual(new Set(it.trace.fired), new Set(named(timers, true)))
      const dropped = Object.values(it.trace.dropped).reduce((sum, count) => sum + count, 0)
      assert.equal(dropped, bad.length)
      assert.deepEqual(it.trace.letters.toSorted(), policy.last === 'deadLetter' ? bad.toSorted() : [])
    }),
    { numRuns },
  )
})

test('TimersApart: with a store that sometimes fails it finishes too, and drops no good timer', async () => {
  await fc.assert(
    fc.asyncProperty(world, policies, luck, async (timers, onError, isGood) => {
      const it = new World(timers, onError, { fails: drawn(isGood) })
      while (await it.own()) assert.ok(it.trace.ends < 1000, 'it loops')
      assert.deepEqual(it.left, [])
      assert.deepEqual(new Set(it.trace.fired), new Set(named(timers, true)))
      const wanted = policyOf(onError).last === 'deadLetter' ? named(timers, false) : []
      assert.deepEqual(it.trace.letters.toSorted(), wanted.toSorted())
    }),
    { numRuns },
  )
})

test('TimersApart: a stop is no attempt, so no good timer is dropped however often its owner is stopped', async () => {
  await fc.assert(
    fc.asyncProperty(world, policies, luck, async (timers, onError, isGood) => {
      const it = new World(timers, onError, { stops: drawn(isGood) })
      while (await it.own()) assert.ok(it.trace.ends < 1000, 'it loops')
      assert.deepEqual(new Set(it.trace.fired), new Set(named(timers, true)))
    }),
    { numRuns },
  )
})

test('TimerReactions: letters of timers leave no listener on the stop signal', async () => {
  const { signal: stopping } = new AbortController()
  const reactions = new TimerReactions({
    ...{ clock: new ManualClock(0), stopping, tried: undefined, instance: { id: 'f-0', index: 0 } },
    assignment: () =>
      ({ function: 'f', version: 1, manifest: { onError: 'deadLetter' } }) as FunctionAssignment,
    onGiven: () => undefined,
    acknowledger: { await: () => undefined },
    letters: { post: async () => [true], flush: () => undefined },
  } satisfies TimerReactionsOptions)
  const error = { name: 'Error', message: 'no', stack: '', timeMs: 0 }
  const timer = { partition: 0, key: 'a', timeMs: 1 }
  for (let i = 0; i < 9; i++)
    reactions.drop({ index: 0, action: 'deadLetter', attempts: 1, told: true, error, timer })
  await Promise.resolve()
  assert.equal(getEventListeners(stopping, 'abort').length, 0)
  await new Promise(setImmediate)
  assert.deepEqual(reactions.dropped, { deadLettered: 9 })
})

test('TimersApart: a newer version gets the timer called although its attempts were used up', async () => {
  for (const kind of ['breaks', 'aborts'] as const) {
    const it = new World([[kind]], 'deadLetter')
    while (await it.own()) if (it.trace.ends === (kind === 'breaks' ? 1 : 2)) it.mend()
    assert.deepEqual(it.trace, { fired: ['0.0'], dropped: {}, letters: [], ends: it.trace.ends })
  }
})

test('TimersApart ends with a stop, though the store does not answer; the timer is as it was (TP4)', async () => {
  const timer = { partition: 0, key: 'a', timeMs: 500 }
  const never = new Promise<never>(() => undefined)
  const stop = new AbortController()
  const tried = new TriedTimers(async () => undefined)
  const timers = [{ key: 'a', timeMs: 500, attempts: 1, version: 1 }]
  tried.add({ partition: 0, timers, inDoubt: false, clear: () => undefined, tell: () => never })
  const apart = new TimersApart({
    ...{ clock: new ManualClock(1_000), stopping: stop.signal, tried, store: () => never },
    assignment: () => ({ function: 'f', version: 1 }) as FunctionAssignment,
    reactions: {
      timers: { mayBeTried: () => true } as unknown as TimerReactions,
      settleBroken: () => assert.fail('it is not called'),
    },
    isolate: () =>
      ({
        atTimers: async () => ({ next: async () => timer, run: () => assert.fail('it is not called') }),
      }) as unknown as Isolate,
    ...{ publish: () => undefined, warn: () => undefined },
  })
  const ended = apart.run()
  await new Promise(setImmediate)
  assert.equal(tried.of(timer)?.attempts, 2)
  stop.abort()
  assert.equal(await ended, undefined)
  assert.equal(tried.of(timer)?.attempts, 1)
})
