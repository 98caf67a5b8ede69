/**
 * Script: everything done to the simulated system, made from a seed: the network and the disturbances. It is plain
 * data, so that a failure can be shrunk by leaving parts out, and kept as a regression test.
 * @module
 */

import { type NetworkConditions, quietNetwork } from './network.ts'
import { Random } from './random.ts'

/** By kind: how often it comes, against the others. */
const frequencies = {
  deploy: 3,
  scale: 6,
  delete: 1,
  command: 4,
  killScheduler: 3,
  stopScheduler: 2,
  loseSession: 1,
  breakLink: 2,
  cutScheduler: 1,
  moveClock: 2,
  failMaster: 2,
  cutAgent: 2,
  isolateAgent: 2,
  switchOffAgent: 1,
  stopAgent: 1,
  killRunner: 3,
  crashRunner: 2,
  failInstance: 3,
  cutRunner: 2,
  loseRunner: 2,
  failSwaps: 1,
} as const

/** Seeds from here on have these too; the others stay what they were. */
export const withRollouts = 1_000_000
const rollouts = { deployCanary: 3, autoscale: 3, loseUnwanted: 1 } as const

export type Kind = keyof typeof frequencies | keyof typeof rollouts

export interface Disturbance {
  readonly atMs: number
  readonly kind: Kind
  /** Which one, for how long: whatever has to be chosen follows from it. */
  readonly choice: number
}

export interface Script {
  readonly seed: number
  readonly network: NetworkConditions
  /** From one heartbeat to the next: the slower all is, the more time a run spans. */
  readonly beatMs: number
  readonly disturbances: readonly Disturbance[]
}

const most = 120

export function scriptOf(seed: number): Script {
  const random = new Random(seed * 2_654_435_761)
  random.next()
  const network: NetworkConditions = {
    loss: random.pick([0, 0, 0.02, 0.1])!,
    twice: random.pick([0, 0, 0.02, 0.1])!,
    busMs: random.pick([quietNetwork.busMs, 50, 400, 3_000])!,
    wireMs: random.pick([quietNetwork.wireMs, 50, 1_000])!,
    storeMs: random.pick([quietNetwork.storeMs, 20, 300])!,
  }
  const beatMs = random.pick([1_000, 1_000, 4_000, 12_000])!
  // A quiet run now and then: some states are reached only when things go well for a while.
  const gapMs = (random.pick([500, 1_500, 4_000, 10_000])! * beatMs) / 1_000
  const known = seed < withRollouts ? frequencies : { ...frequencies, ...rollouts }
  const kinds = Object.entries(known).flatMap(([kind, often]) => Array<Kind>(often).fill(kind as Kind))
  // Half of the runs know a few kinds only, so that these meet each other often.
  const few = new Set(Object.keys(known).filter(() => random.chance(0.3)))
  const some = random.chance(0.5) ? kinds : kinds.filter((kind) => few.has(kind))
  const disturbances: Disturbance[] = []
  for (let atMs = 0; disturbances.length < most; ) {
    atMs += Math.floor(-Math.log(1 - random.next()) * gapMs)
    const kind = random.pick(some.length === 0 ? kinds : some)!
    disturbances.push({ atMs, kind, choice: random.below(1_000_000) })
  }
  return { seed, network: network, beatMs, disturbances }
}
