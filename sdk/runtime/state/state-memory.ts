/**
 * StateMemory: the slabs that the host has given for the state of each partition, and the arenas in them.
 *
 * No slab can be added during a call. An arena that needs one throws, and the control words say how much is lacking
 * (engine/verdicts.ts, VD2); unless the limit allows no more, which is reported to the author.
 *   SM1. No view of a slab and no list of slabs can be reached from outside (primordials.ts, P1).
 * Design: docs/design/0007-state-outlives-code.md
 * @module
 */
import {
  type Arena,
  Memory,
  nextSlabBytes,
  openArena,
  type PageKeeper,
  Shadow,
  type Slabs,
  slabBytesDefault,
} from '../arena/index.ts'
import { append } from '../realm/primordials.ts'
import type { ControlWords } from '../shared/control-words.ts'
import { control } from '../shared/layout.ts'

export interface StateMemoryOptions {
  readonly limitBytes: number
  readonly controlWords: ControlWords
  readonly clock: { readonly nowMs: number }
}

export class StateMemory {
  readonly #options: StateMemoryOptions
  readonly #partitions: (GivenSlabs | undefined)[] = []
  readonly #arenas: (Arena | undefined)[] = []
  /** Partitions that another isolate uses now. */
  readonly #closed: (Arena | undefined)[] = []
  #shadow: Shadow | undefined

  constructor(options: StateMemoryOptions) {
    this.#options = options
  }

  /**
   * Takes the memory for pages that a checkpoint under way still needs: before the first cut, and when it is
   * enlarged.
   */
  setShadow(memory: SharedArrayBuffer): void {
    this.#shadow = new Shadow(memory)
  }

  /** Adds the next slab of a partition. */
  add(partition: number, slab: SharedArrayBuffer): void {
    this.#slabsOf(partition).add(slab)
  }

  /** Lets a partition without entries and timers use only its first slab. */
  shrink(partition: number): void {
    this.#arenas[partition]?.shrink()
  }

  /** Gives back the slabs of a partition from `count` on, which its arena does not use. */
  shorten(partition: number, count: number): void {
    this.#partitions[partition]?.shorten(count)
  }

  /**
   * The state of a partition.
   * @throws {CodedError} ERR_STATE_GROWING or ERR_STATE_FULL, if there is no memory for it.
   */
  open(partition: number): Arena {
    const slabs = this.#slabsOf(partition)
    const closed = this.#closed[partition]
    if (closed !== undefined) {
      closed.reopen()
      this.#closed[partition] = undefined
      this.#arenas[partition] = closed
    }
    const { controlWords, clock } = this.#options
    const commitWord = controlWords.commitWord(control.published)
    const arena = this.#arenas[partition] ?? openArena(slabs, { clock, commitWord }, slabs.memory)
    this.#arenas[partition] = arena
    return arena
  }

  /** Opens the arenas in all slabs: undoes the unfinished transaction of the isolate before this one. */
  openAll(): void {
    for (const partition of this.partitions()) this.open(partition)
  }

  /** The partitions that have memory. */
  partitions(): number[] {
    const partitions: number[] = []
    for (let partition = 0; partition < this.#partitions.length; partition++)
      if (this.#partitions[partition] !== undefined) append(partitions, partition)
    return partitions
  }

  /** Drops the memory of all other partitions. */
  keep(kept: readonly number[]): void {
    for (let partition = 0; partition < this.#partitions.length; partition++) {
      if (kept.includes(partition)) continue
      this.#partitions[partition] = undefined
      this.#arenas[partition] = undefined
      this.#closed[partition] = undefined
    }
  }

  /**
   * Another isolate uses the arenas now: this one will open them again, if at all. It keeps the slabs for that case.
   */
  close(): void {
    for (let partition = 0; partition < this.#arenas.length; partition++) {
      this.#closed[partition] = this.#arenas[partition] ?? this.#closed[partition]
      this.#arenas[partition] = undefined
    }
  }

  get #heldBytes(): number {
    let held = 0
    for (let i = 0; i < this.#partitions.length; i++) held += this.#partitions[i]?.ownBytes ?? 0
    return held
  }

  #slabsOf(partition: number): GivenSlabs {
    const found = this.#partitions[partition]
    if (found !== undefined) return found
    const { controlWords, limitBytes } = this.#options
    const keeper: PageKeeper = {
      keep: (page, words, at) => this.#shadow?.keep(partition, page, words, at),
    }
    const slabs = new GivenSlabs(partition, controlWords, limitBytes, () => this.#heldBytes, keeper)
    // A gap in the array would be looked up on Array.prototype.
    while (this.#partitions.length <= partition) append<GivenSlabs | undefined>(this.#partitions, undefined)
    while (this.#arenas.length <= partition) append<Arena | undefined>(this.#arenas, undefined)
    while (this.#closed.length <= partition) append<Arena | undefined>(this.#closed, undefined)
    this.#partitions[partition] = slabs
    return slabs
  }
}

class GivenSlabs implements Slabs {
  readonly slabBytes = slabBytesDefault
  readonly limitBytes: number
  readonly #partition: number
  readonly #controlWords: ControlWords
  readonly #held: () => number
  readonly #slabs: SharedArrayBuffer[] = []
  #ownBytes = 0
  /** Makes views of slabs as they arrive, so that it need not be done during the pause of a change-over. */
  readonly memory: Memory

  constructor(
    partition: number,
    controlWords: ControlWords,
    limitBytes: number,
    held: () => number,
    keeper: PageKeeper,
  ) {
    this.#partition = partition
    this.#controlWords = controlWords
    this.limitBytes = limitBytes
    this.#held = held
    this.memory = new Memory(this, keeper)
  }

  get count(): number {
    return this.#slabs.length
  }

  /** The number of the partition. */
  get ownBytes(): number {
    return this.#ownBytes
  }

  get heldBytes(): number {
    return this.#held()
  }

  get growing(): boolean {
    return this.#controlWords.word(control.wantedPartition) !== 0
  }

  get(index: number): SharedArrayBuffer {
    return this.#slabs[index]!
  }

  add(slab: SharedArrayBuffer): void {
    append(this.#slabs, slab)
    this.#ownBytes += slab.byteLength
    this.memory.attach(this.#slabs.length - 1)
  }

  shorten(count: number): void {
    for (let index = count; index < this.#slabs.length; index++)
      this.#ownBytes -= this.#slabs[index]!.byteLength
    this.#slabs.length = count
    this.memory.detach(count)
  }

  /** Writes how much is lacking; the host computes the same `nextSlabBytes`. */
  grow(minBytes: number): boolean {
    const others = this.#held() - this.#ownBytes
    if (nextSlabBytes(this.#ownBytes, minBytes, this.slabBytes, this.limitBytes - others) <= 0) return false
    this.#controlWords.setWord(control.wantedBytes, minBytes)
    this.#controlWords.setWord(control.wantedPartition, this.#partition + 1)
    return false
  }
}
