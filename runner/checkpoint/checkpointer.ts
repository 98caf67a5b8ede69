/**
 * Checkpointer: takes checkpoints of one instance's state while it works.
 *
 *     idle → (near) → idle → (due) → cut, between two batches → shipping, beside the work → idle
 *
 *   CP1. A cut is made between two batches: state, timers and positions of one moment, with all outputs before it sent.
 *   CP2. One cut at a time. A failed one is repeated by the next, and only time is lost.
 *   CP3. Nothing is shipped after `last`.
 *   CP4. No cut is made of a prepared slot, so its stored checkpoint stays the base of its image. If everything must be stored it
 *        is included, and the image builds on that; but not after the image was taken (OW3 of slots.ts).
 *   CP5. A manifest is written only when its announcements and dead letters are settled: then a killed owner leaves no record
 *        in its state that is neither counted nor put out, and none whose dead letter is nowhere.
 *   CP6. Only state replaces stored state: a slot whose state is not in memory keeps its stored checkpoint. At a stop that is
 *        usual, since it may come while a share is on its way; at any other time it is a fault, and is logged.
 * Design: docs/design/0008-checkpoints.md
 * @module
 */
import { unlessAborted } from '../../infra/bus/index.ts'
import { type Checkpoint, partPageBytes } from '../../infra/checkpoints/index.ts'
import type { InstanceAssignment } from '../../infra/control/messages/assignment.ts'
import type { CheckpointReport } from '../../infra/control/messages/heartbeat.ts'
import type { CodedError } from '../../sdk/errors.ts'
import {
  Capture,
  dirtyPages,
  hasArena,
  markAllDirty,
  type Slabs,
  usedSlabs,
} from '../../sdk/runtime/index.ts'
import type { StateStore } from '../isolate/index.ts'
import { Beginnings } from './beginnings.ts'
import { type CutSlot, type CutSource, isSame, shipSlot, sizesOf } from './cut.ts'
import { imagePagesMax, type ShareImage } from './share-image.ts'
import type { Slot } from './slot.ts'
import { Slots, type SlotsOptions } from './slots.ts'
import { TokenBucket } from './token-bucket.ts'
import { TriedTimers } from './tried-timers.ts'

const noPages = { pages: new Uint32Array(0), bytes: new Uint8Array(0) }
/** Memory for a cut is prepared this long before it is due. */
const aheadMs = 500
/** When the first cut is due, after a start. */
const firstMs = 1_000

export interface CheckpointerOptions extends SlotsOptions {
  readonly everyMs: number
  readonly bytesPerSecond: number
  readonly version: number
  /** Called when a cut is due. */
  readonly onDue: () => void
}

export class Checkpointer {
  readonly #options: CheckpointerOptions
  readonly #budget: TokenBucket
  /** Which state is stored and restored. */
  readonly slots: Slots
  readonly #beginnings: Beginnings
  /** Timers that are called alone. */
  readonly tried = new TriedTimers(() => this.#shipping)
  #number = 0
  #due = false
  #near = false
  #cancel: () => void = () => undefined
  #shipping: Promise<boolean> = Promise.resolve(true)
  /** The cut that is being shipped. */
  #capture: Capture | undefined
  #shippingSlots: readonly CutSlot[] = []
  #ended = false
  /** Callers that wait for the next cut. */
  #wanted: ((isStored: boolean) => void)[] = []
  readonly #report = {
    storedBytes: 0,
    writtenBytes: 0,
    pauseMs: 0,
    pauseMaxMs: 0,
    made: 0,
    failed: 0,
    writtenBytesTotal: 0,
  }
  #lastMade: { readonly atMs: number; readonly tookMs: number } | undefined
  #error: string | undefined

  constructor(options: CheckpointerOptions, instance: InstanceAssignment) {
    this.#options = options
    this.#budget = new TokenBucket(options.clock, options.bytesPerSecond)
    const onSuperseded = (error: Error): void => {
      if (!this.#ended) options.onSuperseded(error)
    }
    this.#beginnings = new Beginnings({ clock: options.clock, warn: options.warn, onSuperseded })
    const onAdded = (slot: Slot): void => {
      this.tried.add(slot)
      this.#beginnings.add(slot)
    }
    const onReleased = (slot: Slot): void => {
      this.tried.forget(slot.partition)
      this.#beginnings.release(slot)
    }
    this.slots = new Slots({ ...options, onSuperseded }, instance, { onAdded, onReleased })
  }

  /** True when a cut, or its preparation, is due before the next batch. */
  get due(): boolean {
    return (this.#due || this.#near) && !this.#isShipping && !this.#ended
  }

  get #isShipping(): boolean {
    return this.#capture !== undefined
  }

  /** Pages of the cut under way that are copied should they change now. */
  get pendingPages(): number {
    return this.#capture?.pending ?? 0
  }

  /** True if only the preparation is due; asked once. */
  takeNear(): boolean {
    const isNear = this.#near && !this.#due
    this.#near = false
    return isNear
  }

  report(): CheckpointReport {
    let pages = 0
    for (const slot of this.slots.all()) pages += slot.livePages
    return {
      ...this.#report,
      storedBytes: pages * partPageBytes,
      ...this.#lastMade,
      ...(this.#error === undefined ? {} : { error: this.#error }),
    }
  }

  /** Plans the first cut, soon: what is done for the first time takes longer, and there is little to store yet. */
  start(): void {
    this.#plan(Math.min(this.#options.everyMs, firstMs))
  }

  /**
   * After a batch, before anything of it is acknowledged (FS1).
   * @param positions Of what is acknowledged: none of it has effects on state that has just begun.
   * @param onTold See `Beginnings.tell`.
   */
  begin(
    state: Pick<StateStore, 'hasArena' | 'slabsOf'>,
    positions: CutSource['positions'],
    onTold: () => void,
  ): void {
    const made = ({ partition }: Slot) => {
      const slabs = [state.slabsOf(partition)[0]!.byteLength]
      return (): Omit<Checkpoint, 'segments'> => {
        return { ...this.#made(), slabs, inputs: this.slots.positionsOf(partition, positions) }
      }
    }
    this.#beginnings.tell(state, made, onTold)
  }

  /** See `Beginnings.untold`. */
  get untold(): ReadonlySet<number> | undefined {
    return this.#beginnings.untold
  }

  /** Makes a cut (CP1), and ships it while the instance works. @returns Whether all of it was stored. */
  cut(source: CutSource): Promise<boolean> {
    const { clock } = this.#options
    const { startMs = clock.monotonicMs() } = source
    this.#due = false
    const wanted = this.#wanted.splice(0)
    const capture = new Capture(source.shadow)
    this.#capture = capture
    const slots = this.#cutSlots(source, capture)
    this.#shippingSlots = slots
    const pauseMs = clock.monotonicMs() - startMs
    this.#report.pauseMs = pauseMs
    this.#report.pauseMaxMs = Math.max(this.#report.pauseMaxMs, pauseMs)
    this.#shipping = this.#ship(slots, capture, startMs, source.settled)
    void this.#shipping.then((isStored) => {
      if (this.#wanted.length === 0) this.#budget.open(false)
      for (const resolve of wanted) resolve(isStored)
    })
    return this.#shipping
  }

  /** Asks for a cut as soon as possible, beside the work. @returns Whether it was stored. */
  async soon(): Promise<boolean> {
    if (this.#ended) return false
    const { promise, resolve } = Promise.withResolvers<boolean>()
    this.#wanted.push(resolve)
    this.#budget.open()
    if (!this.#isShipping) this.#plan(0)
    return await promise
  }

  /**
   * The state of a partition, to be given away; between two batches, or at rest.
   * @returns Undefined if more has changed since the last cut than fits an image, other slabs too, something of it is being stored
   *   (so nothing is written behind the next owner's back), or the store knows nothing of it (FS1).
   */
  imageOf(
    partition: number,
    slabs: Slabs | undefined,
    positions: CutSource['positions'],
  ): ShareImage | undefined {
    const slot = this.slots.get(partition)
    if (this.untold?.has(partition) || this.#shippingSlots.some((cut) => cut.slot === slot)) return undefined
    const [base, revision] = [slot?.current, slot?.revision]
    const used = slabs !== undefined && hasArena(slabs) ? usedSlabs(slabs) : undefined
    const hasState = used !== undefined || base !== undefined
    if (slot !== undefined && hasState && revision === undefined) return undefined
    if (used !== undefined && slot !== undefined && (base === undefined || !slot.goesOn(sizesOf(used))))
      return undefined
    const changed = used === undefined ? noPages : dirtyPages(used, imagePagesMax)
    if (changed === undefined) return undefined
    return {
      ...(base === undefined ? {} : { base: { epoch: base.epoch, number: base.number } }),
      epoch: slot?.epoch ?? 0,
      ...(revision !== undefined && { revision }),
      slabs: used === undefined ? [] : sizesOf(used),
      inputs: this.slots.positionsOf(partition, positions),
      ...changed,
    }
  }

  /**
   * Makes a cut after the one being shipped, and waits until it is stored, without the byte limit.
   * @param make Says what is to be stored, when nothing is being shipped any more; undefined: nothing can be.
   * @param leaving Ends the wait: a cut being shipped continues beside what follows, and one not made yet is not made.
   */
  async flush(make: () => Promise<CutSource | undefined>, leaving?: AbortSignal): Promise<boolean> {
    this.#cancel()
    this.#budget.open()
    let source: CutSource | undefined
    do {
      await unlessAborted(this.#shipping, leaving)
      if (leaving?.aborted) return false
      if (!this.#isShipping) source = await make()
      if (!this.#isShipping && source === undefined) return false
    } while (source === undefined || this.#isShipping) // CP2
    this.#budget.open() // the end of the one before has closed it
    const stored = await unlessAborted(this.cut(source), leaving)
    if (stored !== undefined) this.#budget.open(false)
    return stored === true
  }

  /** The last cut (CP3). @param make See `flush`. @returns Whether it was stored. */
  async last(make: () => Promise<CutSource | undefined>): Promise<boolean> {
    this.#ended = true
    this.#refuse()
    this.#beginnings.end()
    this.#budget.open()
    await this.tried.tell().catch(() => undefined) // it is small, and helps if the cut is not stored in time
    return await this.flush(async () => {
      const source = await make()
      return source && { ...source, whole: true, clean: true }
    })
  }

  /** Makes no more cuts, and does not wait for a running one. */
  end(): void {
    this.#ended = true
    this.#cancel()
    this.#refuse()
  }

  /** There is no next cut. */
  #refuse(): void {
    for (const resolve of this.#wanted.splice(0)) resolve(false)
  }

  #plan(delayMs: number): void {
    this.#cancel()
    if (this.#ended) return
    const { clock, onDue } = this.#options
    const due = (): void => {
      this.#due = true
      onDue()
    }
    const near = (): void => {
      this.#near = true
      this.#cancel = clock.after(aheadMs, due)
      onDue()
    }
    this.#cancel = delayMs > aheadMs ? clock.after(delayMs - aheadMs, near) : clock.after(delayMs, due)
  }

  #cutSlots({ arenas, positions, clean, commitWord, whole }: CutSource, capture: Capture): CutSlot[] {
    const lying = new Map(arenas)
    const made = {
      ...this.#made(),
      clean: clean === true,
      ...(commitWord === undefined ? {} : { commitWord }),
    }
    const { warn } = this.#options
    const slots: CutSlot[] = []
    for (const slot of this.slots.all()) {
      const { partition } = slot
      const all = lying.get(partition)
      const hasState = all !== undefined && hasArena(all)
      if (!this.slots.isCut(partition, whole === true && hasState)) continue // CP4
      if (!hasState && slot.current === undefined) continue // it never had state
      if (!hasState && slot.current!.slabs.length > 0) {
        if (!this.#ended)
          warn(`the state of partition ${partition} is missing here: its stored checkpoint stays as it is`)
        continue // CP6
      }
      const slabs = hasState ? usedSlabs(all, commitWord) : undefined
      if (slabs !== undefined && !slot.goesOn(sizesOf(slabs))) markAllDirty(slabs)
      slots.push({
        slot,
        slabs,
        made: {
          ...made,
          slabs: slabs === undefined ? [] : sizesOf(slabs),
          inputs: this.slots.positionsOf(partition, positions),
        },
      })
    }
    const captured = slots.flatMap(({ slot, slabs }) =>
      slabs === undefined ? [] : [[slot.partition, slabs] as const],
    )
    capture.cut(captured, commitWord !== undefined)
    return slots
  }

  #made(): Omit<Checkpoint, 'slabs' | 'segments' | 'inputs'> {
    const { clock, version } = this.#options
    return { epoch: this.slots.epoch, number: this.#number++, timeMs: clock.nowMs(), version, clean: false }
  }

  async #ship(
    slots: readonly CutSlot[],
    capture: Capture,
    startMs: number,
    settled: Promise<void>,
  ): Promise<boolean> {
    const { clock, everyMs, onSuperseded, store, warn } = this.#options
    const atMs = slots[0]?.made.timeMs ?? clock.nowMs()
    let bytes = 0
    try {
      for (const cut of slots) {
        const { segment, written } = await shipSlot(cut, capture, { store, budget: this.#budget })
        bytes += written
        await settled // CP5
        const isTold = cut.slot.isTimerTold && cut.slot.revision !== undefined
        if (segment !== undefined || !isTold || !isSame(cut.made, cut.slot.current))
          await cut.slot.commit(cut.made, segment, cut.slabs)
        this.#beginnings.told(cut.slot)
        capture.end(cut.slot.partition)
      }
      this.#report.made += 1
      this.#report.writtenBytes = bytes
      this.#report.writtenBytesTotal += bytes
      this.#lastMade = { atMs, tookMs: clock.monotonicMs() - startMs }
      this.#error = undefined
      return true
    } catch (error) {
      capture.abandon()
      for (const { slot } of slots) slot.giveUp()
      const { code, message } = error as CodedError
      this.#report.failed += 1
      if (this.#error !== message) warn(`no checkpoint: ${message}`)
      this.#error = message
      if (code === 'ERR_CHECKPOINT_SUPERSEDED' && !this.#ended) onSuperseded(error as Error)
      return false
    } finally {
      this.#capture = undefined
      this.#shippingSlots = []
      const leftMs = this.#wanted.length > 0 ? 0 : everyMs - (clock.monotonicMs() - startMs)
      this.#plan(Math.max(0, leftMs))
    }
  }
}
