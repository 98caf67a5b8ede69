/**
 * Orders: what users ask for, each alone in a cluster that is at rest, while the leader is killed some steps later. What was accepted is
 * carried out, once, and nothing else is done.
 *
 *   OD1. At rest again, what was ordered is so (`amissOf`, `World.amiss`).
 *   OD2. So many instances have been started as the order asks for; all others are the same as before. A version that takes over in place, or
 *        back, starts none.
 * @module
 */
import type { FunctionDocument, OutcomeDocument, SeatDocument } from '../../infra/store/documents.ts'
import { type ManifestInput, manifestSchema } from '../../sdk/manifest/manifest.ts'
import type { Bug } from './bugs.ts'
import type { InstanceModel } from './instance.ts'
import type { NetworkConditions } from './network.ts'
import { must, Violation } from './violation.ts'
import { World } from './world.ts'

/** Beside the one that a world begins with. */
const name = 'fn-1'
const instances = 3
/** Alone in its runner, with the others in one, or deployed in waves: each with room for a second version. */
const kinds: readonly Partial<ManifestInput>[] = [{}, { instancesPerRunner: 3 }, { rollout: { rolling: 1 } }]
const manifests = kinds.map((kind) =>
  manifestSchema.parse({
    ...{ name, instances, restarts: 1_000_000, ostreams: ['out'], resources: { cpus: 0.25, memMib: 256 } },
    istreams: { [`in-${name}`]: { grouping: 'groupBy' } },
    ...kind,
  }),
)
const settlesMs = 900_000
const lookMs = 3_000

interface Order {
  /** What is ordered before, and done. */
  readonly before?: (world: World, seed: number) => void
  readonly give: (world: World, seed: number) => void
  /** So many instances are started. */
  readonly starts: number
  /** What of it is not so, when all is at rest. */
  readonly amissOf: (world: World) => string | undefined
}

export const orders: Readonly<Record<string, Order>> = {
  deploy: { give: again, starts: 0, amissOf: (world) => isLive(world, 2) },
  'deploy a canary': {
    give: (world) => world.gateway.deployCanary(1),
    starts: 0,
    amissOf: (world) => isLive(world, 2),
  },
  'deploy a bad canary': {
    give: (world) => world.gateway.deployCanary(3),
    starts: 0,
    amissOf: (world) => isAt(world, 1) ?? isSaidOf(world, 2, 'failed'),
  },
  'roll back': {
    before: again,
    give: (world) => world.gateway.rollBack(name, 1),
    starts: 0,
    amissOf: (world) => isAt(world, 1) ?? isSaidOf(world, 2, 'rolledBack'),
  },
  'roll back a canary': {
    before: (world) => world.gateway.deployCanary(1),
    give: (world) => {
      world.gateway.deployCanary(1)
      world.gateway.rollBack(name, 2)
    },
    starts: 0,
    amissOf: (world) => isAt(world, 2),
  },
  'scale up': { give: (world) => world.gateway.scaleTo(name, 5), starts: 2, amissOf: (w) => hasWanted(w, 5) },
  'scale down': {
    give: (world) => world.gateway.scaleTo(name, 1),
    starts: 0,
    amissOf: (world) => hasWanted(world, 1),
  },
  'restart an instance': {
    give: (world) => world.gateway.command(choiceOf(world, 0)),
    starts: 1,
    amissOf: (world) => hasWanted(world, instances) ?? world.gateway.forgotten,
  },
  'end an instance': {
    give: (world) => world.gateway.command(choiceOf(world, 1)),
    starts: 0,
    amissOf: (world) => hasWanted(world, instances - 1) ?? world.gateway.forgotten,
  },
  'move a share': {
    give: (world) => world.gateway.move(name, { 0: 2 }),
    starts: 0,
    amissOf: (world) => isHome(world, 0, 2),
  },
  'move a share back': {
    before: (world) => world.gateway.move(name, { 0: 2 }),
    give: (world) => world.gateway.move(name, {}),
    starts: 0,
    amissOf: (world) => isHome(world, 0, 0),
  },
  remove: {
    give: (world) => world.gateway.delete(1),
    starts: 0,
    amissOf: ({ store }) =>
      (['function', 'version', 'outcome', 'status', 'seat'] as const)
        .flatMap((kind) => store.names(kind))
        .find((key) => key.startsWith(name)),
  },
}

export interface Played {
  /** From the order to rest, without the kill. */
  readonly steps: number
  readonly failure: string | undefined
}

/** @param killedAfter So many steps after the order; undefined: nobody is killed. */
export function playOrder(
  { before, give, starts, amissOf }: Order,
  seed: number,
  network: NetworkConditions,
  killedAfter: number | undefined,
  bugs: ReadonlySet<Bug> = new Set(),
): Played {
  const world = new World({ seed, network, beatMs: 1_000, disturbances: [] }, bugs)
  let steps = 0
  try {
    again(world, seed)
    rest(world)
    before?.(world, seed)
    rest(world)
    const there = new Set(instancesOf(world))
    const begun = new Set<InstanceModel>()
    const step = (untilMs?: number): boolean => {
      const hasStepped = world.step(untilMs)
      for (const instance of instancesOf(world)) if (!there.has(instance)) begun.add(instance)
      if (hasStepped) steps += 1
      return hasStepped
    }
    give(world, seed)
    if (killedAfter !== undefined) {
      while (steps < killedAfter && step());
      world.schedulers.find(({ leads }) => leads)?.die('SIGKILL', seed % 3 === 0 ? 4_000 : 10)
    }
    rest(world, step)
    const amiss = amissOf(world)
    must(amiss === undefined, 'OD1', () => amiss ?? '')
    must(
      begun.size === starts,
      'OD2',
      () => `started, instead of ${starts}: ${[...begun].map((one) => one.name).join(', ')}`,
    )
    return { steps, failure: undefined }
  } catch (error) {
    if (!(error instanceof Violation)) throw error
    return { steps, failure: `${error.invariant}: ${error.message}` }
  }
}

/** Goes on until all is as it should be, and stays so. */
function rest(world: World, step = (untilMs?: number): boolean => world.step(untilMs)): void {
  const { loop } = world
  const untilMs = loop.nowMs() + settlesMs
  for (let quiet = 0; quiet < 3; quiet = world.amiss === undefined ? quiet + 1 : 0) {
    must(loop.nowMs() < untilMs, 'OD1', () => world.amiss ?? '')
    const lookAtMs = loop.nowMs() + lookMs
    while (step(lookAtMs));
    loop.passTo(lookAtMs)
  }
}

/** The instances that runners have. */
function* instancesOf({ runners }: World): Generator<InstanceModel> {
  for (const runner of runners.values()) yield* runner.instances.values()
}

/** Of a command to one of its instances. @param parity 0: to restart it; 1: to end it. */
function choiceOf({ store }: World, parity: 0 | 1): number {
  const at = store.values<SeatDocument>('seat').findIndex(({ instance }) => instance === `${name}-1`)
  return at % 2 === parity ? at : at + 7
}

function again(world: World, seed: number): void {
  world.gateway.put(manifests[seed % manifests.length]!)
}

function documentOf({ store }: World): FunctionDocument | undefined {
  return store.get<FunctionDocument>('function', name)?.value
}

function isAt(world: World, version: number): string | undefined {
  const document = documentOf(world)
  return document?.version === version && document.good === version
    ? hasWanted(world, instances)
    : `it is at ${JSON.stringify(document)}`
}

function isLive(world: World, version: number): string | undefined {
  return isAt(world, version) ?? isSaidOf(world, version, 'live')
}

function isSaidOf({ store }: World, version: number, state: OutcomeDocument['state']): string | undefined {
  const outcome = store.get<OutcomeDocument>('outcome', `${name}@${version}`)?.value
  return outcome?.state === state ? undefined : `of v${version} it is said: ${JSON.stringify(outcome)}`
}

function hasWanted(world: World, count: number): string | undefined {
  const document = documentOf(world)
  return document?.instances === count ? undefined : `wanted are ${document?.instances}, not ${count}`
}

function isHome({ store }: World, share: number, index: number): string | undefined {
  const seat = store.get<SeatDocument>('seat', `${name}-${index}`)?.value
  return seat?.shares.includes(share)
    ? undefined
    : `share ${share} is not at ${index}: ${JSON.stringify(store.values<SeatDocument>('seat'))}`
}
