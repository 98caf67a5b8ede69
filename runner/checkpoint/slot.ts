/**
 * Slot: the stored state of one partition, and the only way to write and read it.
 *
 *   S1. `commit` writes a manifest that names only stored parts (what it goes over: slot-manifest.ts).
 *   S2. Segments that the manifest no longer names are deleted after it was written (which: stored-pages.ts).
 *   S3. One write at a time.
 *
 * Where it comes from another owner: `readAhead`, while that one is at work, and `receive` what it gives; or `restore`, if nobody
 * gives it. `open` follows, when the isolate gets it.
 * Design: docs/design/0008-checkpoints.md
 * @module
 */
import type {
  Checkpoint,
  CheckpointStore,
  StoredManifest,
  TriedTimer,
} from '../../infra/checkpoints/index.ts'
import { infraError } from '../../infra/errors.ts'
import { CodedError } from '../../sdk/errors.ts'
import {
  finishRestore,
  markAllDirty,
  markDirty,
  PagedSlabs,
  restorePages,
  type Slabs,
} from '../../sdk/runtime/index.ts'
import { type Base, Bases } from './bases.ts'
import { type SlabOf, SlotReader, slabsOf } from './reader.ts'
import { isBase, type ShareImage } from './share-image.ts'
import { SlotManifest } from './slot-manifest.ts'
import { firstGone, type PagedSegment, StoredPages } from './stored-pages.ts'

/** State that has come. */
export interface Restored {
  readonly slabs: readonly SharedArrayBuffer[]
  /** What it contains, by input stream; undefined: there was none. */
  readonly inputs: Checkpoint['inputs'] | undefined
}

/** State as it was read, and what changes it still. */
interface Come {
  readonly slabs: readonly SharedArrayBuffer[]
  readonly checkpoint: Checkpoint | undefined
  readonly image?: ShareImage
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
  readonly #manifest: SlotManifest
  readonly #bases: Bases
  #pages = new StoredPages()
  #current: Checkpoint | undefined
  #previous: Checkpoint | undefined
  #reader: SlotReader
  /** What the last read ahead found. */
  #ahead: { readonly stored: StoredManifest | undefined } | undefined
  /** What the isolate is to get. */
  #come: Come | undefined
  /** True if its last owner claimed it and stored nothing. */
  #inDoubt = false
  /** The last write, once it has ended. */
  #written: Promise<unknown> = Promise.resolve()
  /** True while earlier owners may have left parts that no manifest names. */
  #hasStrays = true

  constructor(name: string, partition: number, options: SlotOptions) {
    this.name = name
    this.partition = partition
    this.#store = options.store
    this.#warn = options.warn
    this.#slabOf = options.slabOf
    this.#manifest = new SlotManifest(options.store, name, options.epoch)
    this.#bases = new Bases(options.baseEveryMs, options.nowMs)
    this.#reader = new SlotReader(options.store, name, options.slabOf)
  }

  /** States from which records can be processed again, oldest first. One may be deleted while it is read: ask again then. */
  get bases(): readonly Base[] {
    return this.#bases.with([this.#previous, this.#current])
  }

  get epoch(): number {
    return this.#manifest.epoch
  }

  setEpoch(epoch: number): void {
    this.#manifest.setEpoch(epoch)
  }

  get timers(): readonly TriedTimer[] {
    return this.#manifest.timers
  }

  /** Takes effect with the next write of the manifest. */
  set timers(timers: readonly TriedTimer[]) {
    this.#manifest.timers = timers
  }

  /** Whether the manifest has what is known about its timers. */
  get isTimerTold(): boolean {
    return this.#manifest.isTimerTold
  }

  /** Whether its last owner ended without a word before its first checkpoint: a due timer may be the reason. */
  get inDoubt(): boolean {
    return this.#inDoubt
  }

  /** Ends the suspicion against its timers. */
  clear(): void {
    this.#inDoubt = false
  }

  /** The revision of its manifest; undefined while a write is under way, or if the last one was not answered. */
  get revision(): number | undefined {
    return this.#manifest.revision
  }

  get current(): Checkpoint | undefined {
    return this.#current
  }

  /** Stored pages that are needed. */
  get livePages(): number {
    return this.#pages.live
  }

  /** Whether an arena with slabs of these sizes has all that are stored: else all of its pages have to be stored anew. */
  goesOn(sizes: readonly number[]): boolean {
    return this.#pages.goesOn(sizes) && firstGone(this.#current?.slabs ?? [], sizes) < 0
  }

  /**
   * Reads its state and claims it. Should an earlier owner write meanwhile, both are done again.
   * @throws {CodedError} ERR_CHECKPOINT_SUPERSEDED, ERR_CHECKPOINT_CORRUPT, ERR_CHECKPOINT_FORMAT, ERR_CHECKPOINT_STORE
   */
  async restore(): Promise<void> {
    for (;;)
      try {
        await this.#load()
        return await this.#manifest.claim(this.#current, this.#previous)
      } catch (error) {
        if ((error as CodedError).code !== 'ERR_CHECKPOINT_SUPERSEDED' || this.#come === undefined)
          throw error
      }
  }

  /**
   * Reads the stored state before it is given, so that little is left to read then. Any epoch will do: the owner gives it
   * away, and the image says what it builds on.
   */
  async readAhead(): Promise<void> {
    const stored = await this.#manifest.read()
    const { current } = stored?.manifest ?? {}
    this.#ahead = undefined
    if (current !== undefined) await this.#reader.read(current)
    this.#ahead = { stored }
  }

  /**
   * Receives the arena from its living owner: the stored state, and what has changed since. `claim` must follow.
   * @returns False if the giver has stored more since, or a later owner has claimed it: `restore` it.
   * @throws {CodedError} as `restore`, except ERR_CHECKPOINT_SUPERSEDED
   */
  async receive(image: ShareImage): Promise<boolean> {
    this.setEpoch(image.epoch ?? 0)
    if (this.#ahead === undefined || this.#ahead.stored?.revision !== image.revision) await this.readAhead()
    const stored = this.#ahead?.stored
    const { current, previous, epoch = 0 } = stored?.manifest ?? {}
    if (!isBase(current, image.base) || epoch > this.epoch) return false
    this.#reader.grow(image.slabs)
    this.#come = { slabs: this.#reader.slabs, checkpoint: current, image }
    this.#goOnFromRead()
    this.#manifest.goOnFrom(stored)
    this.#current = current
    this.#previous = previous
    return true
  }

  /**
   * What was received or restored, to be handed to the isolate; once.
   * @param newCommitWord The commit word with which the arena will be opened.
   */
  open(newCommitWord: number): Restored {
    const { slabs, checkpoint, image } = this.#come!
    this.#come = undefined
    if (slabs.length > 0) {
      const arena = slabsOf(slabs)
      if (image !== undefined) restorePages(new PagedSlabs(arena), image.pages, image.bytes)
      const commitWord = image === undefined ? checkpoint?.commitWord : undefined
      finishRestore(arena, commitWord === undefined ? undefined : { commitWord, newCommitWord })
      if (image !== undefined) markDirty(arena, image.pages) // not stored yet
    }
    if (image === undefined) return { slabs, inputs: checkpoint?.inputs }
    return { slabs, inputs: slabs.length === 0 ? undefined : image.inputs }
  }

  /** Whether it was claimed, whatever became of that. */
  get isClaimed(): boolean {
    return this.#manifest.isClaimed
  }

  /** Claims what was received. */
  claim(): Promise<void> {
    return this.#manifest.claim(this.#current, this.#previous, true)
  }

  /**
   * Stores that its state begins now, unless there is a checkpoint already: one without pages, which is restored as an empty
   * arena, and whose positions say from which records on effects are missing.
   */
  async begin(made: () => Omit<Checkpoint, 'segments'>): Promise<void> {
    await this.#inTurn(async () => {
      if (this.#current !== undefined) return
      await this.#ready()
      // It may have a later epoch by now: under the claimed one it leaves no doubt.
      const next: Checkpoint = { ...made(), epoch: this.epoch, segments: [] }
      await this.#manifest.write(next)
      this.#current = next
    })
  }

  /** Stores what is known about its timers, without a checkpoint. No cut of it may be under way. */
  async tell(): Promise<void> {
    await this.#manifest.claimed() // it may tell
    await this.#inTurn(async () => {
      if (this.isTimerTold) return
      await this.#ready()
      await this.#manifest.write(this.#current, this.#previous)
    })
  }

  /** Gives up what was stored for a cut: no manifest will name it. */
  giveUp(): void {
    this.#hasStrays = true
  }

  /** Makes a checkpoint of what was stored since, and of what is still needed from before. */
  async commit(
    made: Omit<Checkpoint, 'segments'>,
    added: PagedSegment | undefined,
    slabs: Slabs | undefined,
  ): Promise<void> {
    await this.#inTurn(async () => {
      await this.#ready(slabs)
      this.#pages.add(made.slabs, added)
      const before = this.#current
      const next: Checkpoint = { ...made, segments: this.#pages.segments }
      await this.#manifest.write(next, before)
      this.#previous = before
      this.#current = next
      this.#bases.add(next, before)
    })
    await this.#collect()
    if (slabs !== undefined) markDirty(slabs, this.#pages.toMove())
  }

  /** Makes one write after the other (S3). */
  async #inTurn(write: () => Promise<void>): Promise<void> {
    const written = this.#written.then(write)
    this.#written = written.catch(() => undefined)
    await written
  }

  /** Deletes what is named neither by the last two checkpoints nor by a base (S2). */
  async #collect(): Promise<void> {
    const stay = (error: Error): void =>
      this.#warn(`old checkpoints of ${this.name} stay where they are: ${error.message}`)
    const last = [this.#current, this.#previous].flatMap((checkpoint) => checkpoint?.segments ?? [])
    const named = [...last, ...this.#bases.segments]
    this.#store.remove(this.#pages.giveUp(named)).catch(stay)
    if (!this.#hasStrays) return
    this.#hasStrays = false // before the next cut stores parts that no manifest names yet
    await this.#store.removeStrays(this.name, this.epoch, named).catch(stay)
  }

  async #load(): Promise<void> {
    this.#come = undefined
    const stored = await this.#manifest.read()
    this.#manifest.refuseNewer(stored)
    this.#manifest.goOnFrom(stored)
    const { current, previous, epoch } = stored?.manifest ?? {}
    // Not if it is this one, which was not told that its claim was made.
    if (!this.isClaimed || epoch !== this.epoch)
      this.#inDoubt = current !== undefined && current.epoch !== epoch
    const checkpoint = await this.#readFirst([current, previous])
    this.#come = { slabs: checkpoint === undefined ? [] : this.#reader.slabs, checkpoint }
    this.#goOnFromRead()
    this.#current = checkpoint
    this.#previous = checkpoint === current ? previous : undefined
    if (checkpoint === undefined) this.#bases.beginEmpty()
  }

  /** @returns The first that is whole. */
  async #readFirst(candidates: readonly (Checkpoint | undefined)[]): Promise<Checkpoint | undefined> {
    let torn: Error | undefined
    for (const checkpoint of candidates) {
      if (checkpoint === undefined) continue
      try {
        await this.#reader.read(checkpoint)
        if (torn !== undefined)
          this.#warn(`the last checkpoint of ${this.name} is lost, the one before is taken: ${torn.message}`)
        return checkpoint
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

  #goOnFromRead(): void {
    this.#pages = this.#reader.pages()
    this.#reader = new SlotReader(this.#store, this.name, this.#slabOf)
  }

  /** Must precede a write. @throws {CodedError} ERR_CHECKPOINT_STORE if what was stored is gone: the next cut begins anew. */
  async #ready(slabs?: Slabs): Promise<void> {
    if (await this.#manifest.ready()) return
    this.#pages = new StoredPages()
    this.#current = this.#previous = undefined
    this.#bases.clear()
    if (slabs !== undefined) markAllDirty(slabs)
    throw infraError(
      'ERR_CHECKPOINT_STORE',
      `Cannot go on with the checkpoints of partition ${this.name}: they were deleted. The next one is made from the start`,
    )
  }
}

function isTorn(code: string): boolean {
  return code === 'ERR_CHECKPOINT_CORRUPT' || code === 'ERR_STATE_FORMAT'
}
