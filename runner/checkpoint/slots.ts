/**
 * Slots: the stored state of one instance: what it owns, what is about to come, and what is about to go.
 *
 *     readAhead ──► receive (its giver's word) ──┐
 *                                                ├──► open ──► own ──► prepare ──► close ──► letGo
 *     restore (read and claimed) ────────────────┘              ▲          │
 *                                                               └── keep ──┘
 *
 *   OW1. A slot is owned from when the isolate has its state until it is released: what may lie in its memory before that is older
 *        than what is stored. What becomes of its claim concerns only its owner.
 *   OW2. A slot that is taken under an epoch which its giver was told first is claimed with that one.
 *   OW3. Of a prepared slot only whole cuts are made, of a closed one none: its positions or its image were told.
 * Who calls what when: runner/handover/share-mover.ts. Design: docs/design/0008-checkpoints.md, 0011-handover.md
 * @module
 */
import type { StatePositions } from '../../infra/bus/index.ts'
import type { Checkpoint, CheckpointStore } from '../../infra/checkpoints/index.ts'
import type { Clock } from '../../infra/clock.ts'
import type { InstanceAssignment } from '../../infra/control/messages/assignment.ts'
import { LostError } from '../../infra/jetstream.ts'
import type { CodedError } from '../../sdk/errors.ts'
import { finishRestore } from '../../sdk/runtime/index.ts'
import { firstArena, isOwnArena, partitionOfArena } from '../../sdk/wire/arenas.ts'
import type { Base } from './bases.ts'
import { arenasOf, byArena, type Groupings } from './partitions.ts'
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
  /** By arena: the input streams with partitions in it. */
  readonly #inputs = new Map<number, readonly string[]>()
  readonly #coming = new Map<number, Slot>()
  readonly #owned = new Map<number, Slot>()
  /** Owned ones that are about to go. */
  readonly #going = new Map<number, 'prepared' | 'closed'>()
  /** Those whose stored state could not be read at the last attempt. */
  readonly #unread = new Set<number>()

  constructor(options: SlotsOptions, instance: InstanceAssignment, follower: SlotsFollower) {
    this.#options = options
    this.#instance = instance
    this.#follower = follower
    this.assign(instance)
  }

  get epoch(): number {
    return this.#instance.epoch
  }

  all(): Iterable<Slot> {
    return this.#owned.values()
  }

  get(arena: number): Slot | undefined {
    return this.#owned.get(arena)
  }

  /** What the instance has from now on; what is about to go beside. */
  assign(instance: InstanceAssignment): void {
    this.#instance = instance
    for (const slot of this.all()) slot.setEpoch(instance.epoch)
    for (const [arena, its] of byArena(this.#options.groupings, instance.partitions))
      this.#inputs.set(arena, [...its.keys()])
  }

  /** Reads and claims all that the instance begins with. @returns By arena: what `own` must follow for. */
  async begin(newCommitWord: number): Promise<ReadonlyMap<number, Restored>> {
    const arenas = this.arenasOf(this.#instance)
    await Promise.all(arenas.map((arena) => this.#comingSlot(arena, this.epoch).restore()))
    return new Map(arenas.map((arena) => [arena, this.open(arena, newCommitWord)]))
  }

  /** Reads the stored state of a slot that its owner is about to give. @throws {CodedError} why it cannot come yet */
  async readAhead(arena: number): Promise<void> {
    await this.#reading(arena, this.#comingSlot(arena).readAhead(), () => true)
  }

  /** Reads a slot that its owner has given; `open` follows. @throws {CodedError} */
  async receive(arena: number, epoch: number, image: ShareImage): Promise<void> {
    const slot = this.#comingSlot(arena, epoch)
    if (!(await this.#reading(arena, slot.receive(image)))) await this.#reading(arena, slot.restore())
  }

  /** Reads and claims a slot that nobody gives; `open` follows. @throws {CodedError} */
  async restore(arena: number, epoch: number): Promise<void> {
    await this.#reading(arena, this.#comingSlot(arena, epoch).restore())
  }

  /** The state of a slot that has come; `own` follows. @param newCommitWord The commit word with which the arena will be opened. */
  open(arena: number, newCommitWord: number): Restored {
    return this.#coming.get(arena)!.open(newCommitWord)
  }

  /** Owns a slot, since the isolate has its state now (OW1). Where it was given, claiming it in the store follows. */
  own(arena: number): void {
    const slot = this.#coming.get(arena)!
    this.#coming.delete(arena)
    slot.setEpoch(this.epoch) // that of its cuts
    this.#owned.set(arena, slot)
    this.#follower.onAdded(slot)
    if (slot.isClaimed) return
    slot.claim().catch((error: CodedError) => {
      if (this.#owned.get(arena) !== slot) return // OW1
      if (error.code === 'ERR_CHECKPOINT_SUPERSEDED') this.#options.onSuperseded(error)
      else this.#options.warn(`partition ${arena} is not claimed in the store: ${error.message}`)
    })
  }

  /** Forgets a promised slot that stays with its owner. */
  forget(arena: number): void {
    this.#coming.delete(arena)
    this.#unread.delete(arena)
  }

  /** OW3: says that a slot is about to be given away, until it is released or kept. */
  prepare(arena: number): void {
    this.#going.set(arena, 'prepared')
  }

  keep(arena: number): void {
    this.#going.delete(arena)
  }

  /** OW3: nothing more is stored of a slot. */
  close(arena: number): void {
    this.#going.set(arena, 'closed')
  }

  /** OW3. */
  isCut(arena: number, isWhole: boolean): boolean {
    const step = this.#going.get(arena)
    return step === undefined || (step === 'prepared' && isWhole)
  }

  /** Releases a slot. */
  letGo(arena: number): void {
    this.#going.delete(arena)
    this.#inputs.delete(arena)
    const slot = this.#owned.get(arena)
    if (slot === undefined) return
    this.#owned.delete(arena)
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
    const inputs: Checkpoint['inputs'] = {}
    for (const stream of this.#inputs.get(arena) ?? []) {
      const { positions: list, ...counts } = positions(stream, partitionOfArena(arena))
      inputs[stream] = { ...counts, positions: [...list] }
    }
    return inputs
  }

  /** The log tells once of what is tried again. */
  async #reading<T>(arena: number, reading: Promise<T>, isTriedAgain = isSilent): Promise<T> {
    try {
      const found = await reading
      this.#unread.delete(arena)
      return found
    } catch (error) {
      const { message } = error as CodedError
      if (isTriedAgain(error) && !this.#unread.has(arena)) {
        this.#unread.add(arena)
        this.#options.warn(`partition ${arena} cannot come yet, it is tried again: ${message}`)
      }
      throw error
    }
  }

  #comingSlot(arena: number, epoch = 0): Slot {
    const { store, warn, slabOf, clock, baseEveryMs } = this.#options
    const nowMs = (): number => clock.nowMs()
    let slot = this.#coming.get(arena)
    slot ??= new Slot(this.#nameOf(arena), arena, {
      ...{ store, epoch, warn, slabOf, nowMs, baseEveryMs },
    })
    this.#coming.set(arena, slot)
    slot.setEpoch(epoch) // OW2
    return slot
  }

  #nameOf(arena: number): string {
    const partition = partitionOfArena(arena)
    return isOwnArena(arena) ? `${this.#instance.index}-${partition}` : `${partition}`
  }
}

/** Whether the store has given no answer. */
export function isSilent(error: unknown): boolean {
  const { code, cause } = error as CodedError
  return code === 'ERR_CHECKPOINT_STORE' && !(cause instanceof LostError) // then it has, and nobody can mend that
}
