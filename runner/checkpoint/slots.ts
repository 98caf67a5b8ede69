/**
 * Slots: the stored state of one instance: what it owns, what it is about to take, and what it is about to give away.
 *
 *   OW1. A slot is owned from when the isolate has its state until it is released: what may lie in its memory before that is older
 *        than what is stored. What becomes of its claim concerns only its owner.
 *   OW2. A slot that is taken under an epoch which its giver was told first is claimed with that one.
 * Design: docs/design/0008-checkpoints.md, 0011-handover.md
 * @module
 */
import type { StatePositions } from '../../infra/bus/index.ts'
import type { Checkpoint, CheckpointStore } from '../../infra/checkpoints/index.ts'
import type { Clock } from '../../infra/clock.ts'
import type { InstanceAssignment } from '../../infra/control/messages/assignment.ts'
import type { CodedError } from '../../sdk/errors.ts'
import { finishRestore } from '../../sdk/runtime/index.ts'
import { firstArena, isOwnArena, partitionOfArena } from '../../sdk/wire/arenas.ts'
import type { Base } from './bases.ts'
import { arenasOf, type Groupings } from './partitions.ts'
import { type SlabOf, SlotReader, slabsOf } from './reader.ts'
import type { ShareImage } from './share-image.ts'
import { type Restored, Slot } from './slot.ts'

export interface SlotsOptions {
  readonly store: CheckpointStore
  readonly clock: Clock
  readonly groupings: Groupings
  /** Time between two bases (bases.ts); absent: none are kept. */
  readonly baseEveryMs?: number | undefined
  readonly warn: (message: string) => void
  /** Gives the memory into which state is read; default: new memory. */
  readonly slabOf?: SlabOf
  /** Called when another owner has the state: stop at once. */
  readonly onSuperseded: (error: Error) => void
}

export interface SlotsFollower {
  readonly onAdded: (slot: Slot) => void
  readonly onReleased: (slot: Slot) => void
}

export class Slots {
  readonly #options: SlotsOptions
  readonly #follower: SlotsFollower
  #instance: InstanceAssignment
  readonly #owned = new Map<number, Slot>()
  /** About to be given away. */
  readonly #held = new Set<number>()
  /** About to be taken. */
  readonly #coming = new Map<number, Slot>()
  /** Those of which the isolate is about to get the state. */
  readonly #read = new Map<number, Slot>()
  /** Those of them whose stored state could not be read at the last attempt. */
  readonly #unread = new Set<number>()

  constructor(options: SlotsOptions, instance: InstanceAssignment, follower: SlotsFollower) {
    this.#options = options
    this.#instance = instance
    this.#follower = follower
  }

  get epoch(): number {
    return this.#instance.epoch
  }

  all(): Iterable<Slot> {
    return this.#owned.values()
  }

  get(partition: number): Slot | undefined {
    return this.#owned.get(partition)
  }

  /**
   * Reads and claims the slots that an instance has got, and releases those that it has no more.
   * @param newCommitWord The commit word with which the arenas will be opened.
   * @returns By arena: what `own` must follow for.
   */
  async restore(instance: InstanceAssignment, newCommitWord: number): Promise<ReadonlyMap<number, Restored>> {
    this.#instance = instance
    const arenas = this.arenasOf(instance)
    for (const arena of this.#owned.keys()) if (!arenas.includes(arena)) this.letGo(arena)
    for (const slot of this.all()) slot.setEpoch(instance.epoch)
    const read = async (arena: number): Promise<readonly [number, Restored]> => {
      const slot = this.#comingSlot(arena)
      slot.setEpoch(instance.epoch) // OW2
      const restored = await slot.restore(newCommitWord)
      this.#arrived(slot)
      return [arena, restored]
    }
    return new Map(await Promise.all(arenas.filter((arena) => !this.#owned.has(arena)).map(read)))
  }

  /**
   * Reads the stored state of a slot that is about to be taken.
   * @param isLeft Nobody has it who could store it anew.
   * @throws {CodedError} why it cannot come yet. Of one that is left that is ERR_CHECKPOINT_STORE: what else is wrong, `restore` says.
   */
  async preload(partition: number, isLeft = false): Promise<void> {
    const slot = this.#comingSlot(partition)
    try {
      await slot.preload()
      this.#unread.delete(partition)
    } catch (error) {
      const { code, message } = error as CodedError
      if (isLeft && code !== 'ERR_CHECKPOINT_STORE') return
      if (!this.#unread.has(partition))
        this.#options.warn(`partition ${partition} cannot come yet, it is tried again: ${message}`)
      this.#unread.add(partition)
      throw error
    }
  }

  /** Forgets a promised slot that stays with its owner. */
  forget(partition: number): void {
    this.#coming.delete(partition)
  }

  /**
   * Reads a slot that its owner gives away.
   * @returns Its slabs, for which `own` must follow; undefined if newer state is stored.
   */
  async take(
    instance: InstanceAssignment,
    partition: number,
    image: ShareImage,
  ): Promise<readonly SharedArrayBuffer[] | undefined> {
    this.#instance = instance
    const slot = this.#comingSlot(partition)
    slot.setEpoch(instance.epoch)
    const slabs = await slot.take(image)
    if (slabs === undefined) return undefined // it stays among the coming: `restore` needs its epoch
    this.#arrived(slot)
    return slabs
  }

  /** Owns a slot that was read, since the isolate has its state now (OW1). Where it was given, claiming it in the store follows. */
  own(arena: number): void {
    const slot = this.#read.get(arena)!
    this.#read.delete(arena)
    this.#owned.set(arena, slot)
    this.#follower.onAdded(slot)
    if (slot.isClaimed) return
    slot.claim().catch((error: CodedError) => {
      if (this.#owned.get(arena) !== slot) return // OW1
      if (error.code === 'ERR_CHECKPOINT_SUPERSEDED') this.#options.onSuperseded(error)
      else this.#options.warn(`partition ${arena} is not claimed in the store: ${error.message}`)
    })
  }

  /** Says that a slot is about to be given away, until it is released or kept. */
  hold(partition: number): void {
    this.#held.add(partition)
  }

  keep(partition: number): void {
    this.#held.delete(partition)
  }

  isHeld(partition: number): boolean {
    return this.#held.has(partition)
  }

  /** Releases a slot that was given away. */
  letGo(partition: number): void {
    this.#held.delete(partition)
    const slot = this.#owned.get(partition)
    if (slot === undefined) return
    this.#owned.delete(partition)
    this.#follower.onReleased(slot)
  }

  /** States from which records can be processed again, oldest first. */
  basesOf(arena: number): readonly Base[] {
    return this.#owned.get(arena)?.bases ?? []
  }

  /** Reads a base into new memory. @throws {CodedError} ERR_CHECKPOINT_CORRUPT if it is gone. */
  async readBase(arena: number, base: Base): Promise<readonly SharedArrayBuffer[]> {
    const reader = new SlotReader(this.#options.store, this.#nameOf(arena))
    await reader.read(base)
    if (reader.slabs.length > 0) finishRestore(slabsOf(reader.slabs))
    return reader.slabs
  }

  /** The arenas of an instance's partitions. */
  arenasOf({ partitions }: Pick<InstanceAssignment, 'partitions'>): number[] {
    return arenasOf(this.#options.groupings, partitions)
  }

  arenaOf(stream: string, partition: number): number {
    return partition + firstArena(this.#options.groupings[stream])
  }

  /** What the state of an arena contains, by input stream. */
  positionsOf(
    arena: number,
    positions: (stream: string, partition: number) => StatePositions,
  ): Checkpoint['inputs'] {
    const partition = partitionOfArena(arena)
    const inputs: Checkpoint['inputs'] = {}
    for (const [stream, owned] of Object.entries(this.#instance.partitions)) {
      if (!owned.includes(partition) || this.arenaOf(stream, partition) !== arena) continue
      const { positions: list, ...counts } = positions(stream, partition)
      inputs[stream] = { ...counts, positions: [...list] }
    }
    return inputs
  }

  #arrived(slot: Slot): void {
    this.#coming.delete(slot.partition)
    this.#read.set(slot.partition, slot)
  }

  #comingSlot(partition: number): Slot {
    const slot = this.#coming.get(partition) ?? this.#newSlot(partition)
    this.#coming.set(partition, slot)
    return slot
  }

  #newSlot(arena: number): Slot {
    const { store, warn, slabOf, clock, baseEveryMs } = this.#options
    const nowMs = (): number => clock.nowMs()
    return new Slot(this.#nameOf(arena), arena, {
      ...{ store, epoch: this.#instance.epoch, warn, slabOf, nowMs, baseEveryMs },
    })
  }

  #nameOf(arena: number): string {
    const partition = partitionOfArena(arena)
    return isOwnArena(arena) ? `${this.#instance.index}-${partition}` : `${partition}`
  }
}
