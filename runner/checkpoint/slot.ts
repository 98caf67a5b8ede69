/**
 * Slot: the stored state of one partition, and the only way to write and read it.
 *
 *   S1. `commit` writes a manifest that names only stored parts, over the one that was read or written last.
 *   S2. Segments that the manifest no longer names are deleted after it was written.
 *   S3. Nothing is written of a slot that was taken over before its claim is. A claim that the store does not answer is repeated
 *        word for word, so that the store tells whether it was made, or another owner has written since.
 *   S4. One write at a time.
 *   S5. No page is named of a slab that the arena has not, or has in another size: slabs are taken away, and others may come in
 *       their place. A cut that finds this takes all pages, and those of before are forgotten.
 * Design: docs/design/0008-checkpoints.md
 * @module
 */
import {
  type Checkpoint,
  type CheckpointManifest,
  type CheckpointStore,
  type LoadedSegment,
  SegmentBook,
  type StoredManifest,
  type TriedTimer,
} from '../../infra/checkpoints/index.ts'
import { infraError } from '../../infra/errors.ts'
import { CodedError } from '../../sdk/errors.ts'
import {
  finishRestore,
  markAllDirty,
  markDirty,
  PagedSlabs,
  pageBytes,
  restorePages,
  type Slabs,
  slabBytesDefault,
} from '../../sdk/runtime/index.ts'
import { type Base, Bases } from './bases.ts'
import { keyOf, type SlabOf, SlotReader, slabsOf } from './reader.ts'
import { isBase, type ShareImage } from './share-image.ts'

/** How many pages each slab is counted as. */
const slabPages = slabBytesDefault / pageBytes

/** Restored state. */
export interface Restored {
  readonly slabs: readonly SharedArrayBuffer[]
  readonly checkpoint: Checkpoint
}

/** The pages of a new cut. */
export interface NewSegment {
  readonly segment: LoadedSegment
  readonly pages: readonly Uint32Array[]
}

/** A manifest, and what it says of timers. */
interface Written {
  readonly manifest: CheckpointManifest
  readonly timers: readonly TriedTimer[]
}

export interface SlotOptions {
  readonly store: CheckpointStore
  readonly epoch: number
  readonly warn: (message: string) => void
  readonly slabOf?: SlabOf | undefined
  readonly nowMs: () => number
  /** Time between two bases; absent: none are kept. */
  readonly baseEveryMs?: number | undefined
}

export class Slot {
  readonly name: string
  readonly partition: number
  readonly #store: CheckpointStore
  readonly #warn: (message: string) => void
  readonly #slabOf: SlabOf | undefined
  #epoch: number
  #revision = 0
  /** Timers that have ended an owner or are being called alone, and what the manifest says about them. */
  #timers: readonly TriedTimer[] = []
  #timersTold: readonly TriedTimer[] = []
  /** True if its last owner claimed it and stored nothing. */
  #inDoubt = false
  #book = new SegmentBook()
  /** Of the slabs whose pages are in the book. */
  #sizes: readonly number[] = []
  #current: Checkpoint | undefined
  #reader: SlotReader
  /** What the last read ahead found. */
  #ahead: { readonly stored: StoredManifest | undefined } | undefined
  #previous: Checkpoint | undefined
  #claimed: Promise<void> = Promise.resolve()
  /** The write that says that its state begins. */
  #begun: Promise<void> | undefined
  /** The claim, until it was made. */
  #claim: Written | undefined
  /** Segments that the present manifest names and the next one will not. */
  #doomed: LoadedSegment[] = []
  /** True if the last write may have succeeded. */
  #uncertain = false
  /** True while earlier owners may have left parts that no manifest names. */
  #hasStrays = true

  readonly #bases: Bases

  constructor(name: string, partition: number, options: SlotOptions) {
    this.name = name
    this.partition = partition
    this.#store = options.store
    this.#epoch = options.epoch
    this.#warn = options.warn
    this.#slabOf = options.slabOf
    this.#reader = new SlotReader(options.store, name, options.slabOf)
    this.#bases = new Bases(options.baseEveryMs, options.nowMs)
  }

  /** States from which records can be processed again, oldest first. One may be deleted while it is read: ask again then. */
  get bases(): readonly Base[] {
    return this.#bases.with([this.#previous, this.#current])
  }

  get epoch(): number {
    return this.#epoch
  }

  get timers(): readonly TriedTimer[] {
    return this.#timers
  }

  /** Takes effect with the next write of the manifest. */
  set timers(timers: readonly TriedTimer[]) {
    this.#timers = timers
  }

  /** Whether its last owner ended without a word before its first checkpoint: a due timer may be the reason. */
  get inDoubt(): boolean {
    return this.#inDoubt
  }

  /** Ends the suspicion against its timers. */
  clear(): void {
    this.#inDoubt = false
  }

  /** Whether the manifest has what is known about its timers. */
  get isTimerTold(): boolean {
    return this.#timersTold === this.#timers
  }

  /** The revision of its manifest; undefined if the last write was not answered. */
  get revision(): number | undefined {
    return this.#uncertain ? undefined : this.#revision
  }

  get current(): Checkpoint | undefined {
    return this.#current
  }

  /** Whether it is being stored that its state begins. */
  get isBeginning(): boolean {
    return this.#begun !== undefined
  }

  /** Stored pages that are needed. */
  get livePages(): number {
    return this.#book.livePages
  }

  /** Whether an arena with slabs of these sizes has all that are stored: else all of its pages have to be stored anew (S5). */
  goesOn(sizes: readonly number[]): boolean {
    return [this.#sizes, this.#current?.slabs ?? []].every((stored) => firstGone(stored, sizes) < 0)
  }

  /** Never lower than before: the giver may have been told a later epoch first. */
  setEpoch(epoch: number): void {
    this.#epoch = Math.max(this.#epoch, epoch)
  }

  /**
   * Claims the slot, and reads its state.
   * @param newCommitWord The commit word with which the arena will be opened.
   * @throws {CodedError} ERR_CHECKPOINT_SUPERSEDED, ERR_CHECKPOINT_CORRUPT, ERR_CHECKPOINT_FORMAT, ERR_CHECKPOINT_STORE
   */
  async restore(newCommitWord: number): Promise<Restored | undefined> {
    const stored = await this.#store.readManifest(this.name)
    this.#refuseNewer(stored)
    const { current, previous, epoch, timers = [] } = stored?.manifest ?? {}
    this.#timers = timers
    this.#inDoubt = current !== undefined && current.epoch !== epoch
    const restored = await this.#loadFirst([current, previous], newCommitWord)
    this.#current = restored?.checkpoint
    if (restored === undefined) this.#bases.beginEmpty()
    await this.#write(stored?.revision ?? 0, this.#current, this.#current === current ? previous : undefined)
    return restored
  }

  /**
   * Reads the stored state before it is claimed, so that little is left to read later. Any epoch will do: the owner gives it
   * away, and the image says what it builds on.
   */
  async preload(): Promise<void> {
    const stored = await this.#store.readManifest(this.name)
    const { current } = stored?.manifest ?? {}
    this.#ahead = undefined
    if (current !== undefined) await this.#reader.read(current)
    this.#ahead = { stored }
  }

  /**
   * Takes the arena over from its living owner: the stored state, and what has changed since. `claim` must follow.
   * @returns Undefined if the giver has stored more since, or a later owner has claimed it: `restore` it.
   * @throws {CodedError} as `restore`, except ERR_CHECKPOINT_SUPERSEDED
   */
  async take(image: ShareImage): Promise<readonly SharedArrayBuffer[] | undefined> {
    this.setEpoch(image.epoch ?? 0)
    if (this.#ahead === undefined || this.#ahead.stored?.revision !== image.revision) await this.preload()
    const { current, previous, epoch = 0, timers = [] } = this.#ahead?.stored?.manifest ?? {}
    if (!isBase(current, image.base) || epoch > this.#epoch) return undefined
    this.#reader.grow(image.slabs)
    const { slabs } = this.#reader
    if (slabs.length > 0) {
      restorePages(new PagedSlabs(slabsOf(slabs)), image.pages, image.bytes)
      finishRestore(slabsOf(slabs))
      markDirty(slabsOf(slabs), image.pages) // not stored yet
    }
    this.#goOnFromRead()
    this.#revision = this.#ahead?.stored?.revision ?? 0
    this.#current = current
    this.#previous = previous
    this.#timers = timers
    return slabs
  }

  /** Claims the slot in the store. */
  claim(): Promise<void> {
    this.#claim ??= this.#toWrite(this.#current, this.#previous)
    this.#claimed = this.#put(this.#revision, this.#claim).then(() => {
      this.#claim = undefined
    })
    this.#claimed.catch(() => undefined) // `commit` waits for it too
    return this.#claimed
  }

  /**
   * Stores that its state begins now: a checkpoint without pages, which is restored as an empty arena, and whose positions say
   * from which records on effects are missing.
   */
  async begin(made: Omit<Checkpoint, 'segments'>): Promise<void> {
    const next: Checkpoint = { ...made, segments: [] }
    const write = async (): Promise<void> => {
      await this.#isClaimed()
      await this.#write(await this.#certainRevision(undefined), next)
      this.#current = next
    }
    const begun = write()
    this.#begun = begun.catch(() => undefined) // S4
    await begun.finally(() => {
      this.#begun = undefined
    })
  }

  /** Stores what is known about its timers, without a checkpoint. No cut of it may be under way. */
  async tell(): Promise<void> {
    await this.#isClaimed()
    await this.#begun
    if (this.isTimerTold) return
    await this.#write(await this.#certainRevision(undefined), this.#current, this.#previous)
  }

  /** Gives up what was stored for a cut: no manifest will name it. */
  giveUp(): void {
    this.#hasStrays = true
  }

  /** Makes a checkpoint of what was stored since, and of what is still needed from before. */
  async commit(
    made: Omit<Checkpoint, 'segments'>,
    added: NewSegment | undefined,
    slabs: Slabs | undefined,
  ): Promise<void> {
    await this.#isClaimed()
    await this.#begun
    const gone = firstGone(this.#sizes, made.slabs)
    if (gone >= 0) this.#doomed.push(...this.#book.forget(gone * slabPages)) // S5
    this.#sizes = made.slabs
    if (added !== undefined) this.#doomed.push(...this.#book.add(added.segment, added.pages))
    const doomed = this.#doomed.splice(0)
    const before = this.#current
    const named = new Set(before?.segments.map(keyOf))
    const next: Checkpoint = { ...made, segments: this.#book.segments }
    try {
      await this.#write(await this.#certainRevision(slabs), next, before)
    } catch (error) {
      this.#doomed.unshift(...doomed)
      throw error
    }
    this.#previous = before
    this.#current = next
    this.#bases.add(next, before)
    for (const info of this.#bases.segments) named.add(keyOf(info))
    // Segments of the checkpoint before, or of a base, stay until the next one.
    this.#doomed = doomed.filter(({ info }) => named.has(keyOf(info)))
    const unnamed = doomed.filter(({ info }) => !named.has(keyOf(info)))
    const stay = (error: Error): void =>
      this.#warn(`old checkpoints of ${this.name} stay where they are: ${error.message}`)
    this.#store.remove(unnamed.flatMap(({ sequences }) => sequences)).catch(stay)
    if (this.#hasStrays) {
      this.#hasStrays = false // before the next cut stores parts that no manifest names yet
      const kept = [...next.segments, ...(before?.segments ?? []), ...this.#bases.segments]
      await this.#store.removeStrays(this.name, this.#epoch, kept).catch(stay)
    }
    if (slabs !== undefined) markDirty(slabs, this.#book.pagesToMove())
  }

  #refuseNewer(stored: StoredManifest | undefined): void {
    if (stored === undefined || stored.manifest.epoch <= this.#epoch) return
    throw infraError(
      'ERR_CHECKPOINT_SUPERSEDED',
      `Cannot take the state of partition ${this.name} with epoch ${this.#epoch}: ${stored.manifest.epoch} has it`,
    )
  }

  async #loadFirst(
    candidates: readonly (Checkpoint | undefined)[],
    newCommitWord: number,
  ): Promise<Restored | undefined> {
    let torn: Error | undefined
    for (const checkpoint of candidates) {
      if (checkpoint === undefined) continue
      try {
        const restored = await this.#load(checkpoint, newCommitWord)
        if (torn !== undefined)
          this.#warn(`the last checkpoint of ${this.name} is lost, the one before is taken: ${torn.message}`)
        return restored
      } catch (error) {
        if (!(error instanceof CodedError) || !isTorn(error.code)) throw error
        torn ??= error
      }
    }
    if (torn === undefined) return undefined
    throw infraError(
      'ERR_CHECKPOINT_CORRUPT',
      `Cannot restore the state of partition ${this.name}: ${torn.message}; nor is the checkpoint before it whole. Remove the function ('concord fn rm') to begin with empty state, or set "checkpoint": false`,
      { cause: torn },
    )
  }

  async #load(checkpoint: Checkpoint, newCommitWord: number): Promise<Restored> {
    await this.#reader.read(checkpoint)
    const { slabs } = this.#reader
    const { commitWord } = checkpoint
    if (slabs.length > 0)
      finishRestore(slabsOf(slabs), commitWord === undefined ? undefined : { commitWord, newCommitWord })
    this.#goOnFromRead()
    return { slabs, checkpoint }
  }

  #goOnFromRead(): void {
    const { book, dead } = this.#reader.book()
    this.#book = book
    this.#sizes = this.#reader.slabs.map(({ byteLength }) => byteLength)
    this.#doomed = dead
    this.#reader = new SlotReader(this.#store, this.name, this.#slabOf)
  }

  /** S3 */
  async #isClaimed(): Promise<void> {
    await this.#claimed.catch((error: CodedError) => {
      if (error.code !== 'ERR_CHECKPOINT_STORE') throw error
      return this.claim()
    })
  }

  #write(revision: number, current?: Checkpoint, previous?: Checkpoint): Promise<void> {
    return this.#put(revision, this.#toWrite(current, previous))
  }

  #toWrite(current?: Checkpoint, previous?: Checkpoint): Written {
    const timers = this.#timers
    const manifest: CheckpointManifest = {
      schema: 1,
      epoch: this.#epoch,
      ...(current === undefined ? {} : { current }),
      ...(previous === undefined ? {} : { previous }),
      ...(timers.length > 0 && { timers: [...timers] }),
    }
    return { manifest, timers }
  }

  async #put(revision: number, { manifest, timers }: Written): Promise<void> {
    this.#uncertain = true
    this.#revision = await this.#store.writeManifest(this.name, manifest, revision)
    this.#timersTold = timers
    this.#uncertain = false
  }

  /** A write that was not answered may have been made. */
  async #certainRevision(slabs: Slabs | undefined): Promise<number> {
    if (!this.#uncertain) return this.#revision
    const stored = await this.#store.readManifest(this.name)
    this.#refuseNewer(stored)
    if (stored !== undefined || this.#revision === 0) return stored?.revision ?? 0
    this.#revision = 0
    this.#book = new SegmentBook()
    this.#sizes = []
    this.#current = undefined
    this.#bases.clear()
    this.#doomed = []
    if (slabs !== undefined) markAllDirty(slabs)
    throw infraError(
      'ERR_CHECKPOINT_STORE',
      `Cannot go on with the checkpoints of partition ${this.name}: they were deleted. The next one is made from the start`,
    )
  }
}

/** The first of some slabs that others lack, or have in another size; -1: none. */
function firstGone(before: readonly number[], now: readonly number[]): number {
  return before.findIndex((bytes, index) => bytes !== now[index])
}

function isTorn(code: string): boolean {
  return code === 'ERR_CHECKPOINT_CORRUPT' || code === 'ERR_STATE_FORMAT'
}
