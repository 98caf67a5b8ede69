/**
 * Histories of a canary: random batches, ends of either version at every place, and what is told of the canary meanwhile.
 * @module
 */
import fc from 'fast-check'
import { Life } from './life.ts'
import { fates, type Spec } from './state.ts'
import type { Policy } from './wanted.ts'

const role = fc.constantFrom('old' as const, 'canary' as const)
const key = fc.nat(11).map((i) => `key-${i}`)
const fate = fc.oneof(
  { weight: 30, arbitrary: fc.constant('ok' as const) },
  { weight: 6, arbitrary: fc.constantFrom(...fates) },
)
const befalls = fc.record({ old: fate, canary: fate })
const spec: fc.Arbitrary<Omit<Spec, 'id'>> = fc.record({
  key,
  fates: befalls,
  timer: fc.option(fc.record({ key, fates: befalls }), { nil: undefined, freq: 6 }),
})
const mishap = fc.constantFrom(
  'refuses' as const,
  'settles and ends' as const,
  'takes and ends' as const,
  'ends as it lets go' as const,
  'does not stop' as const,
)

const step = fc.oneof(
  {
    weight: 20,
    arbitrary: fc.record({ kind: fc.constant('batch' as const), specs: fc.array(spec, { maxLength: 12 }) }),
  },
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant('canary' as const),
      percent: fc.constantFrom(10, 30, 50, 100),
      own: fc.boolean(),
      isSlow: fc.boolean(),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('takeAway' as const) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('made' as const) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('promote' as const) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('kill' as const), role }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('meet' as const), role, mishap }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('restart' as const) }) },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('started' as const) }) },
)
export type Step = typeof step extends fc.Arbitrary<infer T> ? T : never

export const histories = fc.record({
  policy: fc.constantFrom('fail' as const, 'skip' as const, 'setAside' as const),
  steps: fc.array(step, { minLength: 1, maxLength: 25 }),
})

export interface History {
  readonly policy: Policy
  readonly steps: readonly Step[]
}

/** @throws What was not sound. @returns What was seen. */
export async function live({ policy, steps }: History): Promise<Life['seen']> {
  const life = new Life(policy)
  for (const each of steps) await take(life, each)
  await life.rest()
  return life.seen
}

async function take(life: Life, step: Step): Promise<void> {
  switch (step.kind) {
    case 'batch':
      return await life.batch(step.specs)
    case 'canary':
      return await life.canary(step.percent, step.own, step.isSlow)
    case 'kill':
      return life.kill(step.role)
    case 'meet':
      return life.meet(step.role, step.mishap)
    default:
      return await life[step.kind]()
  }
}
