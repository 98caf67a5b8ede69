/**
 * Histories of a worker: random records, and swaps, stops, kills, a worker that is cut off and replaced, partitions that leave and
 * return, and a store that goes silent or is full.
 * @module
 */
import fc from 'fast-check'
import { over } from './bugs.ts'
import { type Kind, Life } from './life.ts'
import { partitions } from './runner.ts'
import { timeoutMs } from './store.ts'

const kind = fc.oneof(
  { weight: 9, arbitrary: fc.constant<Kind>('plain') },
  { weight: 3, arbitrary: fc.constantFrom<Kind[]>('bad', 'waits', 'failsNext') },
)
const step = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant('send' as const),
      partition: fc.constantFrom(...partitions),
      records: fc.array(kind, { minLength: 1, maxLength: 4 }),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant('deliver' as const), rounds: fc.integer({ min: 1, max: 6 }) }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('time' as const), ms: fc.nat(2_500) }) },
  // Longer than anybody waits for the store.
  { weight: 1, arbitrary: fc.constant({ kind: 'time' as const, ms: timeoutMs + 1_000 }) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constantFrom(...(['silence', 'fill', 'stop', 'kill', 'lose', 'wake'] as const)),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('swap' as const), errors: fc.nat(1) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('assign' as const),
      own: fc.constantFrom([0], [1], partitions),
    }),
  },
)
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never

export interface History {
  /** Of the net and the store. */
  readonly seed: number
  readonly steps: readonly Step[]
}

export const histories: fc.Arbitrary<History> = fc.record({
  seed: fc.nat(),
  steps: fc.array(step, { minLength: 15, maxLength: 40 }),
})

/** All that waits does so by the clock of the history. @throws What was not sound, and what had happened. */
export async function live({ seed, steps }: History): Promise<void> {
  const life = new Life(seed)
  const deadlines: AbortController[] = []
  const mend = over(AbortSignal, 'timeout', () => (ms) => {
    const deadline = new AbortController()
    deadlines.push(deadline)
    life.clock.after(ms, () => deadline.abort())
    return deadline.signal
  })
  try {
    await life.start()
    for (const each of steps) {
      await take(life, each)
      await life.goOn()
    }
    await life.rest()
  } catch (error) {
    ;(error as Error).stack += `\n  ${life.log.join('\n  ')}`
    throw error
  } finally {
    mend()
    for (const deadline of deadlines) deadline.abort() // Node keeps what listens to a signal that may still abort
  }
}

async function take(life: Life, step: Step): Promise<void> {
  switch (step.kind) {
    case 'send':
      return life.send(step.partition, step.records)
    case 'deliver':
      return await life.deliver(step.rounds)
    case 'time':
      return await life.time(step.ms)
    case 'swap':
      return await life.swap(step.errors)
    case 'assign':
      return await life.assign(step.own)
    default:
      return await life[step.kind]()
  }
}
