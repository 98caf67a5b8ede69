/**
 * Slot: what is stored of the state of one partition, and the one way to write and read it.
 *
 *   S1. `commit` writes a manifest that names stored parts only, in place of the one that was read or written last.
 *   S2. Segments that the written manifest does not name are deleted after it was written.
 * Design: docs/design/0008-checkpoints.md
 * @module
 */
import {
  type Checkpoint,
  type CheckpointStore,
  type LoadedSegment,
  loadCheckpoint,
  SegmentBook,
  type StoredManifest,
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
  slabBytesDefault,
} from '../../sdk/runtime/index.ts'

/** What came back. */
export interface Restored {
  readonly slabs: readonly SharedArrayBuffer[]
  readonly checkpoint: Checkpoint
}

/** What a cut adds. */
export interface NewSegment {
  readonly segment: LoadedSegment
  readonly pages: readonly Uint32Array[]
}

export class Slot {
  readonly name: string
  readonly partition: number
  readonly #store: CheckpointStore
  readonly #warn: (message: string) => void
  #epoch: number
  #revision = 0
  #book = new SegmentBook()
  #current: Checkpoint | undefined
  /** Segments that the manifest at hand still names, and the next one will not. */
  #doomed: LoadedSegment[] = []
  /** The last write may have come through. */
  #uncertain = false
  /** Owners before may have left parts that no manifest names. */
  #hasStrays = true

  constructor(
    name: string,
    partition: number,
    options: { store: CheckpointStore; epoch: number; warn: (message: string) => void },
  ) {
    this.name = name
    this.partition = partition
    this.#store = options.store
    this.#epoch = options.epoch
    this.#warn = options.warn
  }

  get current(): Checkpoint | undefined {
    return this.#current
  }

  /** Pages that are stored and needed. */
  get livePages(): number {
    return this.#book.livePages
  }

  setEpoch(epoch: number): void {
    this.#epoch = epoch
  }

  /**
   * Claims the slot, and reads what there is.
   * @param newCommitWord What the arena will be opened with.
   * @throws {CodedError} ERR_CHECKPOINT_SUPERSEDED, ERR_CHECKPOINT_CORRUPT, ERR_CHECKPOINT_FORMAT, ERR_CHECKPOINT_STORE
   */
  async restore(newCommitWord: number): Promise<Restored | undefined> {
    const stored = await this.#store.readManifest(this.name)
    this.#refuseNewer(stored)
    const { current, previous } = stored?.manifest ?? {}
    const restored = await this.#loadFirst([current, previous], newCommitWord)
    this.#current = restored?.checkpoint
    await this.#write(stored?.revision ?? 0, this.#current, this.#current === current ? previous : undefined)
    return restored
  }

  /** What was stored for a cut will be named by no manifest. */
  giveUp(): void {
    this.#hasStrays = true
  }

  /** Makes a checkpoint of what was stored since, and of what is still needed of before. */
  async commit(
    made: Omit<Checkpoint, 'segments'>,
    added: NewSegment | undefined,
    slabs: Slabs | undefined,
  ): Promise<void> {
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
    this.#current = next
    // What the checkpoint before names stays until the next one.
    this.#doomed = doomed.filter(({ info }) => named.has(keyOf(info)))
    const gone = doomed.filter(({ info }) => !named.has(keyOf(info)))
    const stay = (error: Error): void =>
      this.#warn(`old checkpoints of ${this.name} stay where they are: ${error.message}`)
    this.#store.remove(gone.flatMap(({ sequences }) => sequences)).catch(stay)
    if (this.#hasStrays) {
      this.#hasStrays = false // before the next cut stores parts that no manifest names yet
      const kept = [...next.segments, ...(before?.segments ?? [])]
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
    const slabs = checkpoint.slabs.map((bytes) => new SharedArrayBuffer(bytes))
    const paged = new PagedSlabs(slabsOf(slabs))
    const homes = checkpoint.segments.map((): Uint32Array[] => [])
    const segments = await loadCheckpoint(this.#store, this.name, checkpoint, (segment, pages, bytes) => {
      homes[segment]!.push(pages)
      restorePages(paged, pages, bytes)
    })
    const { commitWord } = checkpoint
    if (slabs.length > 0)
      finishRestore(slabsOf(slabs), commitWord === undefined ? undefined : { commitWord, newCommitWord })
    const book = new SegmentBook()
    this.#doomed = segments.flatMap((segment, index) => book.add(segment, homes[index]!))
    this.#book = book
    return { slabs, checkpoint }
  }

  async #write(revision: number, current?: Checkpoint, previous?: Checkpoint): Promise<void> {
    this.#uncertain = true
    this.#revision = await this.#store.writeManifest(
      this.name,
      {
        schema: 1,
        epoch: this.#epoch,
        ...(current === undefined ? {} : { current }),
        ...(previous === undefined ? {} : { previous }),
      },
      revision,
    )
    this.#uncertain = false
  }

  /** Where the last write was not answered it may have been made all the same. */
  async #certainRevision(slabs: Slabs | undefined): Promise<number> {
    if (!this.#uncertain) return this.#revision
    const stored = await this.#store.readManifest(this.name)
    this.#refuseNewer(stored)
    if (stored !== undefined || this.#revision === 0) return stored?.revision ?? 0
    this.#revision = 0
    this.#book = new SegmentBook()
    this.#current = undefined
    this.#doomed = []
    if (slabs !== undefined) markAllDirty(slabs)
    throw infraError(
      'ERR_CHECKPOINT_STORE',
      `Cannot go on with the checkpoints of partition ${this.name}: they were deleted. The next one is made from the start`,
    )
  }
}

/** A list of slabs as an arena has them. */
export function slabsOf(list: readonly SharedArrayBuffer[]): Slabs {
  return {
    slabBytes: slabBytesDefault,
    limitBytes: Number.POSITIVE_INFINITY,
    heldBytes: list.reduce((sum, { byteLength }) => sum + byteLength, 0),
    count: list.length,
    get: (index) => list[index]!,
    grow: () => false,
  }
}

function keyOf({ epoch, number }: { readonly epoch: number; readonly number: number }): string {
  return `${epoch}-${number}`
}

function isTorn(code: string): boolean {
  return code === 'ERR_CHECKPOINT_CORRUPT' || code === 'ERR_STATE_FORMAT'
}
