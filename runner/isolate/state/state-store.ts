/**
 * StateStore: the memory of an instance's state, kept by the host while isolates come and go.
 *
 *     free → lent → free → … → lost
 *
 *   SS1. At most one isolate has it. It is lent again only when the earlier isolate's thread is known to have ended;
 *        then `commitWord` decides whether the last record counts. Otherwise it is lost.
 *   SS2. Slabs are never reordered while their partition is held, and removed only from the end, between two calls, where the
 *        arena does not use them.
 *   SS3. Between two calls into the isolate, and while it is free and was never lent, all arenas are consistent.
 *   SS4. Slabs in use and spare slabs together never exceed the most that was ever in use, however partitions come
 *        and go.
 *   SS5. What rests is written by nobody, and stays as it is until it is released and its isolate has forgotten it.
 * Design: docs/design/0007-state-outlives-code.md
 * @module
 */
import {
  isEmpty,
  isMade,
  nextSlabBytes,
  roomOf,
  type Slabs,
  slabBytesDefault,
  slabsUsed,
} from '../../../sdk/runtime/index.ts'
import { isolateError } from '../errors.ts'

/** Spare room besides what a partition's frames may add: for its index, and for a single record. */
const roomBytesMin = 8 * 1024
/** Beyond this share of the limit, memory is given only on request. */
const aheadShare = 7 / 8

export interface AddedSlab {
  readonly partition: number
  readonly slab: SharedArrayBuffer
}

export class StateStore {
  readonly limitBytes: number
  readonly #arenas = new Map<number, PartitionSlabs>()
  readonly #resting = new Map<number, Resting>()
  #standing: 'free' | 'lent' | 'lost' = 'free'
  #commitWord = 0
  #heldBytes = 0
  /**
   * Slabs of released partitions, for reuse: an isolate that had them frees them only when it collects garbage, if
   * ever.
   */
  #spare: SharedArrayBuffer[] = []
  #spareBytes = 0
  #mostHeldBytes = 0

  constructor(limitBytes: number) {
    this.limitBytes = limitBytes
  }

  /** Bytes of all slabs in use. */
  get heldBytes(): number {
    return this.#heldBytes
  }

  /** Bytes of spare slabs. */
  get spareBytes(): number {
    return this.#spareBytes
  }

  /** Partitions that have an arena. */
  partitions(): number[] {
    return [...this.#arenas.keys()]
  }

  /** Bytes of the slabs that a partition's arena uses; the others wait for it. */
  usedBytes(partition: number): number {
    return this.#arenas.get(partition)?.usedBytes ?? 0
  }

  /** How many slabs a partition has if no more than `bytes` of those that it does not use stay with it. */
  slabsKept(partition: number, bytes: number): number {
    return this.#arenas.get(partition)?.kept(bytes) ?? 0
  }

  /** Partitions without entries whose arenas use `bytes` bytes or more. */
  emptied(bytes: number): number[] {
    return [...this.#arenas].flatMap(([partition, arena]) =>
      arena.isEmpty && arena.usedBytes >= bytes ? [partition] : [],
    )
  }

  /** Takes back the slabs of a partition from `count` on; after the isolate has given them back. */
  shorten(partition: number, count: number): void {
    const taken = this.#arenas.get(partition)?.shorten(count) ?? []
    for (const slab of taken) {
      this.#heldBytes -= slab.byteLength
      this.#spareBytes += slab.byteLength
    }
    this.#spare.push(...taken)
    this.#trim()
  }

  /** Whether a partition's arena was ever used. */
  hasArena(partition: number): boolean {
    return this.#arenas.get(partition)?.isUsed === true
  }

  /** The slabs of a partition's arena, in their order; none if it has none. */
  slabsOf(partition: number): readonly SharedArrayBuffer[] {
    return this.#arenas.get(partition)?.slabs ?? []
  }

  /** All slabs, partition by partition, in their order. */
  all(): AddedSlab[] {
    return [...this.#arenas].flatMap(([partition, { slabs }]) => slabs.map((slab) => ({ partition, slab })))
  }

  /** The slabs of each partition that has an arena, also of those that rest, for a checkpoint (SS3). */
  *arenas(): Iterable<readonly [number, Slabs]> {
    yield* this.#arenas
    for (const [partition, { arena }] of this.#resting) yield [partition, arena]
  }

  /**
   * Adopts a consistent arena in these slabs: from a checkpoint, or from another owner. If the store is lent, its
   * isolate must get them too.
   */
  adopt(partition: number, slabs: readonly SharedArrayBuffer[]): void {
    if (this.#standing === 'lost' || this.#arenas.has(partition))
      throw isolateError('ERR_INSTANCE_STATE', `Cannot adopt the state of partition ${partition}: it is held`)
    for (const slab of slabs) this.#hold(this.#arenaOf(partition), slab)
  }

  /** Empty memory of a size, for an arena to be adopted. */
  slabOf(bytes: number): SharedArrayBuffer {
    return (
      this.#takeSpare(this.#spare.find((slab) => slab.byteLength === bytes)) ?? new SharedArrayBuffer(bytes)
    )
  }

  /** The isolate is about to forget a partition (SS5). */
  rest(partition: number): void {
    const arena = this.#arenas.get(partition)
    if (arena === undefined) return
    this.#arenas.delete(partition)
    this.#resting.set(partition, { arena, isForgotten: this.#standing !== 'lent', isLetGo: false })
  }

  /** Nobody needs a partition that rests any more. */
  letGo(partition: number): void {
    const resting = this.#resting.get(partition)
    if (resting === undefined) return
    resting.isLetGo = true
    this.#release()
  }

  /** The isolate has forgotten all partitions but these. */
  keep(partitions: readonly number[]): void {
    for (const [partition, arena] of this.#arenas) {
      if (partitions.includes(partition)) continue
      this.#arenas.delete(partition)
      this.#resting.set(partition, { arena, isForgotten: true, isLetGo: true })
    }
    for (const resting of this.#resting.values()) resting.isForgotten = true
    this.#release()
  }

  /** Adds memory for what these frames may add, as far as there is enough for all. */
  ahead<Frame extends { readonly bytes: Uint8Array }>(
    frames: readonly Frame[],
    partitionOf: (frame: Frame) => number,
  ): AddedSlab[] {
    let bytesMax = 0
    for (const { bytes } of frames) bytesMax += bytes.length
    const lacks = (frame: Frame): boolean =>
      this.#arenaOf(partitionOf(frame)).room < 2 * bytesMax + roomBytesMin
    if (!frames.some(lacks)) return []
    const bytesIn = new Map<number, number>()
    for (const frame of frames) {
      const partition = partitionOf(frame)
      bytesIn.set(partition, (bytesIn.get(partition) ?? 0) + frame.bytes.length)
    }
    const added: AddedSlab[] = []
    for (const [partition, bytes] of bytesIn) {
      const lacking = 2 * bytes + roomBytesMin - this.#arenaOf(partition).room
      if (lacking > 0) added.push(...this.#add(partition, lacking, this.limitBytes * aheadShare))
    }
    return added
  }

  /** Adds at least `bytes`, or what the limit leaves. */
  add(partition: number, bytes: number): AddedSlab[] {
    return this.#add(partition, bytes, this.limitBytes)
  }

  /** @throws {CodedError} ERR_INSTANCE_STATE if an isolate has it, or an earlier one may not have ended (SS1). */
  lend(): void {
    if (this.#standing !== 'free')
      throw isolateError(
        'ERR_INSTANCE_STATE',
        this.#standing === 'lent'
          ? 'Cannot open the state: another isolate has it'
          : 'Cannot open the state: the isolate that had it may be writing still',
      )
    this.#standing = 'lent'
    for (const resting of this.#resting.values()) resting.isForgotten = true
    this.#release()
  }

  /** The last commit word of the earlier isolate, to which the next one rolls back. */
  get commitWord(): number {
    return this.#commitWord
  }

  /** The isolate's thread has ended, or never began. */
  settle(commitWord: number): void {
    if (this.#standing !== 'lent') return
    this.#standing = 'free'
    this.#commitWord = commitWord
  }

  /** It is unknown whether the isolate's thread has ended, or what it left. */
  lose(): void {
    this.#standing = 'lost'
  }

  /** SS5. */
  #release(): void {
    for (const [partition, { arena, isForgotten, isLetGo }] of this.#resting) {
      if (!isForgotten || !isLetGo) continue
      this.#resting.delete(partition)
      this.#spare.push(...arena.slabs)
      this.#spareBytes += arena.heldBytes
      this.#heldBytes -= arena.heldBytes
    }
    this.#trim()
  }

  #arenaOf(partition: number): PartitionSlabs {
    const found = this.#arenas.get(partition)
    if (found !== undefined) return found
    const slabs = new PartitionSlabs(this.limitBytes)
    this.#arenas.set(partition, slabs)
    return slabs
  }

  /** The largest of the spare slabs of up to `bytes` bytes, empty. */
  #take(bytes: number): SharedArrayBuffer | undefined {
    let best: SharedArrayBuffer | undefined
    for (const slab of this.#spare)
      if (slab.byteLength <= bytes && slab.byteLength > (best?.byteLength ?? 0)) best = slab
    return this.#takeSpare(best)
  }

  #takeSpare(slab: SharedArrayBuffer | undefined): SharedArrayBuffer | undefined {
    if (slab === undefined) return undefined
    this.#spare = this.#spare.filter((other) => other !== slab)
    this.#spareBytes -= slab.byteLength
    new Uint8Array(slab).fill(0)
    return slab
  }

  #hold(arena: PartitionSlabs, slab: SharedArrayBuffer): void {
    this.#heldBytes += arena.add(slab)
    this.#mostHeldBytes = Math.max(this.#mostHeldBytes, this.#heldBytes)
    this.#trim()
  }

  /** Frees the oldest spare slabs: their size is not in demand (SS4). */
  #trim(): void {
    while (this.#spareBytes > 0 && this.#heldBytes + this.#spareBytes > this.#mostHeldBytes)
      this.#spareBytes -= this.#spare.shift()!.byteLength
  }

  #add(partition: number, bytes: number, limitBytes: number): AddedSlab[] {
    const arena = this.#arenaOf(partition)
    const added: AddedSlab[] = []
    for (let left = bytes; left > 0; ) {
      const others = this.#heldBytes - arena.heldBytes
      const size = nextSlabBytes(arena.heldBytes, left, arena.slabBytes, limitBytes - others)
      if (size <= 0) break
      const slab = this.#take(size) ?? new SharedArrayBuffer(size)
      this.#hold(arena, slab)
      added.push({ partition, slab })
      left -= slab.byteLength
    }
    return added
  }
}

/** An arena that its isolate is to forget. */
interface Resting {
  readonly arena: PartitionSlabs
  isForgotten: boolean
  isLetGo: boolean
}

class PartitionSlabs implements Slabs {
  readonly slabBytes = slabBytesDefault
  readonly limitBytes: number
  readonly slabs: SharedArrayBuffer[] = []
  heldBytes = 0
  #words: Int32Array | undefined

  constructor(limitBytes: number) {
    this.limitBytes = limitBytes
  }

  /** The free room, as its isolate has left it. */
  get room(): number {
    return roomOf(this, this.#firstWords)
  }

  get isUsed(): boolean {
    const words = this.#firstWords
    return words !== undefined && isMade(words)
  }

  get isEmpty(): boolean {
    const words = this.#firstWords
    return words !== undefined && isEmpty(words)
  }

  get usedBytes(): number {
    let bytes = 0
    for (let index = slabsUsed(this, this.#firstWords); index > 0; ) bytes += this.slabs[--index]!.byteLength
    return bytes
  }

  kept(bytes: number): number {
    let count = slabsUsed(this, this.#firstWords)
    for (let left = bytes; count < this.count; count++) {
      left -= this.slabs[count]!.byteLength
      if (left < 0) break
    }
    return count
  }

  shorten(count: number): SharedArrayBuffer[] {
    const taken = this.slabs.splice(count)
    for (const { byteLength } of taken) this.heldBytes -= byteLength
    return taken
  }

  /** Of the first slab, if there is one. */
  get #firstWords(): Int32Array | undefined {
    this.#words ??= this.slabs[0] && new Int32Array(this.slabs[0])
    return this.#words
  }

  get count(): number {
    return this.slabs.length
  }

  get(index: number): SharedArrayBuffer {
    return this.slabs[index]!
  }

  grow(): boolean {
    return false
  }

  add(slab: SharedArrayBuffer): number {
    this.slabs.push(slab)
    this.heldBytes += slab.byteLength
    return slab.byteLength
  }
}
