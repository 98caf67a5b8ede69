/**
 * HeldState: the state of an isolate, from the host's side: hands in slabs and the memory for checkpoint copies, and
 * passes the state in place to another isolate between two batches.
 *
 *   HS1. The isolate has what the store holds: if it has had a partition before, it gets only the slabs added since.
 *   HS2. What a record was given and does not use, since it was undone, is taken back after the batch. What a partition used
 *        that has no entries any more is taken back before a checkpoint; during one no arena gives up slabs that it has used.
 * Design: docs/design/0007-state-outlives-code.md, 0023-hot-swap.md
 * @module
 */

import type { StateFormat } from '../../../sdk/function.ts'
import type { Manifest } from '../../../sdk/manifest/manifest.ts'
import { pageBytes, shadowBytes, shadowBytesUsed, slabUnitBytes } from '../../../sdk/runtime/index.ts'
import { keeping } from '../../../sdk/versions/state-format.ts'
import { firstArena } from '../../../sdk/wire/arenas.ts'
import type { GuestCall } from '../calls/isolate-call.ts'
import { isolateError } from '../errors.ts'
import type { Entry, Guest } from '../guest/guest.ts'
import type { Regions } from '../memory/regions.ts'
import type { InputFrame } from '../types.ts'
import { GivenSlabs } from './given-slabs.ts'
import { type AddedSlab, StateStore } from './state-store.ts'

/** Spare size, so that a growing state does not need a new one at each checkpoint. */
const shadowSpare = 1.25
/** Slabs handed in at once, before they are needed. */
const slabsAtOnce = 16
/** A partition without entries keeps memory below this: it would fill it again soon. */
const emptyBytesMin = 256 * 1024
/** How long to wait for the end of an isolate's thread before its state is given up. */
const endWaitMs = 300

export interface HeldStateOptions {
  readonly name: string
  readonly istreams: Manifest['istreams']
  readonly regions: Regions
  readonly guest: Guest
  /** The format of state at first. */
  readonly format: StateFormat
  /** Makes a call into the guest, which ends if the call fails. */
  readonly give: (call: (limits: GuestCall) => Promise<void>) => Promise<void>
}

export class HeldState {
  store: StateStore
  /** How often in a row the current record found no memory for its state. */
  putOff = 0
  readonly #options: HeldStateOptions
  #format: StateFormat
  #given = new GivenSlabs()
  /** Partitions that may have slabs which they do not use, and what each used before it got them. */
  readonly #loose = new Map<number, number>()
  #freed: Promise<boolean> | undefined
  #shadow = new SharedArrayBuffer(shadowBytes(0))
  /** The part of the shadow that earlier checkpoints have used. */
  #shadowTouchedBytes = 0

  /** @param store Lent to this isolate; its slabs are handed in by `boot`. */
  constructor(store: StateStore, options: HeldStateOptions) {
    this.store = store
    this.#options = options
    this.#format = options.format
    this.#given.add(store.all())
    for (const partition of store.partitions()) this.#loosen(partition)
  }

  /** Bytes handed in. */
  get bytes(): number {
    return this.store.heldBytes + this.#shadow.byteLength
  }

  /** Memory that the system has yet to provide for the shadow, should so many more pages be copied. */
  shadowBytesAhead(pages: number): number {
    return Math.max(0, shadowBytesUsed(this.#shadow, pages) - this.#touchedBytes())
  }

  /** In which format it is, and which ones stay readable. */
  get format(): StateFormat {
    return this.#format
  }

  /**
   * Hands in the memory for page copies during a checkpoint, as large as the state is now. Before, memory of partitions that
   * have lost all of their entries is taken back: not during a checkpoint, which reads it.
   */
  async provideShadow(): Promise<SharedArrayBuffer> {
    await this.#takeBackEmpty()
    this.#shadowTouchedBytes = this.#touchedBytes()
    const { heldBytes, limitBytes } = this.store
    const pages = heldBytes / pageBytes
    const { ended } = this.#options.guest
    if (shadowBytes(pages) > this.#shadow.byteLength && ended === undefined)
      await this.#giveShadow(
        new SharedArrayBuffer(shadowBytes(Math.min(pages * shadowSpare, limitBytes / pageBytes))),
      )
    return this.#shadow
  }

  /** Hands in the memory that the current record needs, and what the frames may need; undefined: none is needed. */
  provide(frames: readonly InputFrame[]): Promise<void> | undefined {
    const { guest, name, istreams } = this.#options
    if (guest.ended !== undefined) return undefined
    const added = this.#addWanted()
    if (added === undefined) {
      guest.end(isolateError('ERR_ISOLATE_LOST', `${name} asked for state beyond its limit`))
      return undefined
    }
    const arenaOf = ({ stream, partition }: InputFrame): number =>
      partition + firstArena(istreams[stream]?.grouping)
    added.push(...this.store.ahead(frames, arenaOf))
    return added.length > 0 ? this.#giveSlabs(added) : undefined
  }

  /**
   * After a batch: takes back memory that records were given and do not use. An eighth of what a partition uses stays with it,
   * or as much as it grew, so that one that grows does not ask for each record.
   */
  takeBack(): Promise<void> | undefined {
    const { guest, regions } = this.#options
    if (this.#loose.size === 0 || regions.pending || regions.wanted !== undefined) return undefined
    const kept: [partition: number, count: number][] = []
    for (const [partition, usedBefore] of this.#loose) {
      const used = this.store.usedBytes(partition)
      const count = this.store.slabsKept(partition, Math.max(used / 8, used - usedBefore))
      if (count < this.store.slabsOf(partition).length) kept.push([partition, count])
    }
    this.#loose.clear()
    return kept.length === 0 || guest.ended !== undefined ? undefined : this.#shorten(kept)
  }

  /** Between two batches: adds state and timers of a partition that it does not have. */
  async adopt(partition: number, slabs: readonly SharedArrayBuffer[]): Promise<void> {
    this.store.adopt(partition, slabs)
    const added = slabs.map((slab) => ({ partition, slab }))
    this.#given.add(added)
    this.#loosen(partition)
    const { give, guest } = this.#options
    const taken = { keep: undefined, adopt: [partition], slabs: added, shadow: undefined }
    if (guest.ended === undefined) await give((limits) => guest.takeOver(taken, limits))
  }

  /** The isolate has forgotten all partitions but these. */
  keep(partitions: readonly number[]): void {
    this.#given.keep(partitions)
    if (this.#options.guest.ended === undefined) this.store.keep(partitions)
  }

  /**
   * Before `takeOver`, while the other isolate works: hands in slabs, a few at a time, so that less is left to do
   * then.
   */
  async expect(from: HeldState): Promise<void> {
    for (;;) {
      const slabs = this.#given.lacking(from.store).slice(0, slabsAtOnce)
      if (slabs.length === 0 || this.#options.guest.ended !== undefined) return
      await this.#giveSlabs(slabs)
    }
  }

  /**
   * Between two batches: declares that only versions that read the format `kept` still need the state; default: as
   * before (docs/design/0032-migrate.md).
   */
  async settleFormat(kept = this.#format.kept): Promise<void> {
    this.#format = keeping(this.#format, kept)
    await this.#order('settleFormat', [kept], true)
  }

  /** Makes the isolate give up its state; it must not be called for batches any more. */
  async letGo(): Promise<void> {
    await this.#order('letGo', [], true)
    if (this.#options.guest.ended === undefined) this.store.settle(this.#options.regions.commitWord)
  }

  /**
   * After the end: waits for the end of the isolate's thread, and frees the state for the next instance.
   * @returns Whether the state may be used again (state-store.ts, SS1).
   */
  ended(): Promise<boolean> {
    this.#freed ??= this.#free()
    return this.#freed
  }

  async #free(): Promise<boolean> {
    const { guest, regions } = this.#options
    const whole = (await guest.endedWithin(endWaitMs)) && regions.published >= 0
    if (whole) this.store.settle(regions.commitWord)
    else this.store.lose()
    return whole // a lost state must not become a last checkpoint
  }

  /**
   * Takes over the state of an isolate that has given it up or has ended. The new isolate opens the arenas with the
   * commit word of the old one, so its own outcome starts after that.
   */
  async takeOver(from: HeldState): Promise<void> {
    const { store } = from
    store.lend()
    from.store = nothing()
    this.store = store
    for (const [partition, usedBefore] of from.#loose) this.#loosen(partition, usedBefore)
    from.#loose.clear()
    if (from.#options.guest.ended !== undefined)
      for (const partition of store.partitions()) this.#loosen(partition)
    this.#options.regions.setCommitWord(store.commitWord)
    const fresh = this.#given.fresh(store)
    const keep = this.#given.isOf(fresh) ? undefined : fresh
    this.#given.keep(fresh)
    const slabs = this.#given.lacking(store)
    this.#given.add(slabs)
    const shadow = this.#shadow === from.#shadow ? undefined : from.#shadow
    this.#shadow = from.#shadow
    this.#shadowTouchedBytes = from.#shadowTouchedBytes
    const { give, guest } = this.#options
    if (guest.ended !== undefined) return
    await give((limits) => guest.takeOver({ keep, adopt: store.partitions(), slabs, shadow }, limits))
  }

  async #takeBackEmpty(): Promise<void> {
    const empty = this.store.emptied(emptyBytesMin)
    if (empty.length === 0) return
    await this.#order('shrinkState', [JSON.stringify(empty)], true)
    for (const partition of empty) this.#loosen(partition)
    await this.takeBack()
  }

  /** Takes the memory that the current record needs. @returns Undefined if it needs more than there may be. */
  #addWanted(): AddedSlab[] | undefined {
    const { wanted } = this.#options.regions
    if (wanted === undefined) return []
    const { partition, bytes } = wanted
    this.#loosen(partition, this.store.usedBytes(partition))
    const added = this.store.add(partition, Math.max(bytes, slabUnitBytes) * 2 ** this.putOff)
    return added.length === 0 ? undefined : added
  }

  /**
   * Says that a partition may have slabs which it does not use; the first word until they are taken back counts.
   * @param usedBefore Default: it is not growing.
   */
  #loosen(partition: number, usedBefore = Number.POSITIVE_INFINITY): void {
    if (!this.#loose.has(partition)) this.#loose.set(partition, usedBefore)
  }

  async #shorten(kept: readonly (readonly [partition: number, count: number])[]): Promise<void> {
    await this.#order('giveBackSlabs', [JSON.stringify(kept)], true)
    if (this.#options.guest.ended !== undefined) return
    for (const [partition, count] of kept) {
      this.#given.shorten(partition, count)
      this.store.shorten(partition, count)
    }
  }

  async #giveSlabs(added: readonly AddedSlab[]): Promise<void> {
    const { give, guest } = this.#options
    this.#given.add(added)
    if (guest.ended === undefined) await give((limits) => guest.giveSlabs(added, limits))
  }

  async #giveShadow(shadow: SharedArrayBuffer): Promise<void> {
    const { give, guest } = this.#options
    this.#shadow = shadow
    this.#shadowTouchedBytes = 0
    if (guest.ended === undefined) await give((limits) => guest.giveShadow(shadow, limits))
  }

  #touchedBytes(): number {
    return Math.max(this.#shadowTouchedBytes, shadowBytesUsed(this.#shadow))
  }

  /** A call into the runtime that brings nothing. */
  async #order(entry: Entry, args: readonly unknown[], here = false): Promise<void> {
    const { give, guest } = this.#options
    if (guest.ended === undefined) await give((limits) => guest.call(entry, args, { ...limits, here }))
  }
}

/** The empty state of an isolate that has passed its own on. */
function nothing(): StateStore {
  const store = new StateStore(0)
  store.lend()
  return store
}
