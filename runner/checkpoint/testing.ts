/**
 * Testing: owners of one slot in a store of their own, and an arena that stands for their state.
 * @module
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { connectBus } from '../../infra/bus/index.ts'
import {
  type CheckpointStore,
  claimState,
  ensureCheckpointStream,
  openCheckpoints,
} from '../../infra/checkpoints/index.ts'
import { ManualClock } from '../../infra/clock.ts'
import { endNatsServer, startNatsServer } from '../../infra/nats/index.ts'
import { OwnSlabs, openArena, Shadow, shadowBytes } from '../../sdk/runtime/arena/index.ts'
import { Checkpointer } from './checkpointer.ts'
import type { CutSource } from './cut.ts'
import { slabsOf } from './reader.ts'
import type { ShareImage } from './share-image.ts'
import type { Restored } from './slot.ts'

export async function setUpOwners(t: TestContext) {
  const dir = await mkdtemp(join(tmpdir(), 'concord-slot-'))
  const server = await startNatsServer({ dir, port: 0 })
  const nc = await connectBus({ url: server.url, name: 'test' })
  t.after(async () => {
    await nc.close()
    await endNatsServer(dir)
    await rm(dir, { recursive: true })
  })
  await ensureCheckpointStream(nc)
  await claimState(nc, 'default', { id: 'a store' })
  const store = await openCheckpoints(nc, 'default', 'count')
  const warnings: string[] = []
  const clock = new ManualClock(1_000)
  const instance = (epoch: number) => ({
    id: 'count-0',
    function: 'count',
    index: 0,
    epoch,
    partitions: { in: [3] },
  })
  const given: SharedArrayBuffer[] = []
  const owner = (
    epoch: number,
    baseEveryMs?: number,
    more: { readonly store?: CheckpointStore; readonly bytesPerSecond?: number } = {},
  ): Checkpointer =>
    new Checkpointer(
      {
        ...{ store, clock, everyMs: 1000, bytesPerSecond: 1e9, version: 1, groupings: {}, baseEveryMs },
        ...more,
        warn: (message) => warnings.push(message),
        onDue: () => undefined,
        slabOf: (bytes) => {
          given.push(new SharedArrayBuffer(bytes))
          return given.at(-1)!
        },
        onSuperseded: (error) => warnings.push(error.message),
      },
      instance(epoch),
    )
  const shadow = new SharedArrayBuffer(shadowBytes(1000))
  const slabs = new OwnSlabs({ make: (bytes) => new SharedArrayBuffer(bytes) })
  const arena = openArena(slabs, { keeper: new Shadow(shadow).of(3) })
  const positions = () => ({ lost: 0, positions: [] })
  /** @param through How many records were processed. */
  const saveAt = async (
    by: Checkpointer,
    value: string,
    through?: number,
    more: Partial<CutSource> = {},
  ): Promise<boolean> => {
    return await by.cut(sourceOf(value, through, more))
  }
  const sourceOf = (value: string, through?: number, more: Partial<CutSource> = {}): CutSource => {
    arena.set('key', value)
    arena.commit()
    const ids = { producer: '1'.padStart(16, '0'), origin: '1'.padStart(16, '0'), epoch: 1 }
    const some = () => ({ lost: 0, positions: [{ ...ids, through: through! }] })
    const arenas = [[3, slabs]] as const
    const settled = Promise.resolve()
    return { arenas, shadow, positions: through === undefined ? positions : some, settled, ...more }
  }
  const save = (by: Checkpointer, value: string): Promise<boolean> => saveAt(by, value)
  /** The isolate gets the state that was read, and the owner owns it. */
  const adopt = (by: Checkpointer, epoch: number, newCommitWord = 0): Restored => {
    by.slots.assign(instance(epoch))
    const found = by.slots.open(3, newCommitWord)
    by.slots.own(3)
    return found
  }
  /** Claims what nobody gives. @returns What it finds. */
  const own = async (by: Checkpointer, epoch: number, newCommitWord?: number): Promise<Restored> => {
    by.slots.letGo(3)
    await by.slots.restore(3, epoch)
    return adopt(by, epoch, newCommitWord)
  }
  /** Takes over from the owner. */
  const take = async (
    by: Checkpointer,
    epoch: number,
    image: ShareImage,
    newCommitWord?: number,
  ): Promise<Restored> => {
    await by.slots.receive(3, epoch, image)
    return adopt(by, epoch, newCommitWord)
  }
  const restored = async (by: Checkpointer, epoch: number): Promise<string | undefined> => {
    const { slabs } = await own(by, epoch)
    return slabs.length === 0 ? undefined : openArena(slabsOf(slabs)).getText('key')
  }
  const image = (by: Checkpointer, value: string) => {
    arena.set('key', value)
    arena.commit()
    by.slots.prepare(3)
    return by.imageOf(3, slabs, positions)!
  }
  return {
    store,
    owner,
    save,
    saveAt,
    sourceOf,
    clock,
    own,
    take,
    restored,
    warnings,
    instance,
    image,
    given,
    arena,
    slabs,
  }
}
