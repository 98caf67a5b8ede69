/**
 * SlotManifest: the manifest of one slot in the store, which its owner claims, and then writes again and again.
 *
 *   MN1. It is written only over the one that was read or written last. A write that was not answered may have been made: it is
 *        read before the next.
 *   MN2. Nothing is written of a slot that was taken over before its claim is. A claim that the store does not answer is repeated
 *        word for word, so that the store tells whether it was made, or another owner has written since.
 *   MN3. Where the slot was given, the claim goes over one of an earlier owner that came late: its giver has told what there is,
 *        and that one has changed nothing but the epoch. Who is earlier, the epochs of the claims say: an owner may be told a later
 *        one while its claim is on its way, and the next owner then claims with that (OW2 in slots.ts).
 * Design: docs/design/0008-checkpoints.md
 * @module
 */
import { isDeepStrictEqual } from 'node:util'
import type {
  Checkpoint,
  CheckpointManifest,
  CheckpointStore,
  StoredManifest,
  TriedTimer,
} from '../../infra/checkpoints/index.ts'
import { infraError } from '../../infra/errors.ts'
import type { CodedError } from '../../sdk/errors.ts'

/** A manifest, and what it says of timers. */
interface Written {
  readonly manifest: CheckpointManifest
  readonly timers: readonly TriedTimer[]
}

export class SlotManifest {
  readonly #store: CheckpointStore
  readonly #slot: string
  #epoch: number
  /** Timers that have ended an owner or are being called alone, as the next write says. */
  timers: readonly TriedTimer[] = []
  /** The same as the last one said. */
  #timersTold: readonly TriedTimer[] = []
  #revision = 0
  #claimed: Promise<void> = Promise.resolve()
  #claim: Written | undefined
  /** MN3. */
  #isGiven = false
  /** True if the last write may have succeeded. */
  #uncertain = false

  constructor(store: CheckpointStore, slot: string, epoch: number) {
    this.#store = store
    this.#slot = slot
    this.#epoch = epoch
  }

  get epoch(): number {
    return this.#epoch
  }

  /** Never lower than before: the giver may have been told a later epoch first. */
  setEpoch(epoch: number): void {
    this.#epoch = Math.max(this.#epoch, epoch)
  }

  /** Undefined if the last write was not answered. */
  get revision(): number | undefined {
    return this.#uncertain ? undefined : this.#revision
  }

  get isTimerTold(): boolean {
    return this.#timersTold === this.timers
  }

  read(): Promise<StoredManifest | undefined> {
    return this.#store.readManifest(this.#slot)
  }

  /** The next write goes over this one, and repeats what it says of timers. */
  goOnFrom(stored: StoredManifest | undefined): void {
    this.#revision = stored?.revision ?? 0
    this.timers = stored?.manifest.timers ?? []
  }

  get isClaimed(): boolean {
    return this.#claim !== undefined
  }

  /**
   * Claims the slot: the same checkpoints, with the epoch of this owner.
   * @param isGiven MN3; else whoever was late may have left what must be read.
   */
  claim(current: Checkpoint | undefined, previous: Checkpoint | undefined, isGiven = false): Promise<void> {
    this.#claim = this.#next(current, previous)
    this.#isGiven = isGiven
    return this.#makeClaim()
  }

  /** Resolves when the claim is made (MN2). @throws {CodedError} ERR_CHECKPOINT_SUPERSEDED, ERR_CHECKPOINT_STORE */
  async claimed(): Promise<void> {
    const claimed = this.#claimed
    await claimed.catch((error: CodedError) => {
      if (error.code !== 'ERR_CHECKPOINT_STORE') throw error
      return this.#claimed === claimed ? this.#makeClaim() : this.#claimed // once, whoever waits
    })
  }

  /**
   * Must precede `write`: waits for the claim, and finds out what became of a write without an answer.
   * @returns False if the manifest was deleted, and the next write starts from nothing.
   * @throws {CodedError} ERR_CHECKPOINT_SUPERSEDED, ERR_CHECKPOINT_STORE
   */
  async ready(): Promise<boolean> {
    await this.claimed()
    if (!this.#uncertain) return true
    const stored = await this.read()
    this.refuseNewer(stored)
    const isThere = stored !== undefined || this.#revision === 0
    this.#revision = stored?.revision ?? 0
    return isThere
  }

  async write(current: Checkpoint | undefined, previous?: Checkpoint): Promise<void> {
    await this.#put(this.#next(current, previous))
  }

  /** @throws {CodedError} ERR_CHECKPOINT_SUPERSEDED if an owner with a later epoch has written it. */
  refuseNewer(stored: StoredManifest | undefined, epoch = this.#epoch): void {
    if (stored === undefined || stored.manifest.epoch <= epoch) return
    throw infraError(
      'ERR_CHECKPOINT_SUPERSEDED',
      `Cannot take the state of partition ${this.#slot} with epoch ${epoch}: ${stored.manifest.epoch} has it`,
    )
  }

  #makeClaim(): Promise<void> {
    this.#claimed = this.#putClaim(this.#claim!)
    this.#claimed.catch(() => undefined) // `claimed` waits for it too
    return this.#claimed
  }

  async #putClaim(claim: Written): Promise<void> {
    for (;;)
      try {
        return await this.#put(claim)
      } catch (error) {
        if ((error as CodedError).code !== 'ERR_CHECKPOINT_SUPERSEDED' || !this.#isGiven) throw error
        const stored = await this.read()
        this.refuseNewer(stored, claim.manifest.epoch)
        if (stored === undefined || !isSameState(stored.manifest, claim.manifest)) throw error
        this.#revision = stored.revision // MN3
      }
  }

  #next(current: Checkpoint | undefined, previous: Checkpoint | undefined): Written {
    const timers = this.timers
    const manifest: CheckpointManifest = {
      schema: 1,
      epoch: this.#epoch,
      ...(current === undefined ? {} : { current }),
      ...(previous === undefined ? {} : { previous }),
      ...(timers.length > 0 && { timers: [...timers] }),
    }
    return { manifest, timers }
  }

  async #put({ manifest, timers }: Written): Promise<void> {
    this.#uncertain = true
    this.#revision = await this.#store.writeManifest(this.#slot, manifest, this.#revision)
    this.#timersTold = timers
    this.#uncertain = false
  }
}

/** Whether two manifests differ at most in their owner. */
function isSameState(one: CheckpointManifest, other: CheckpointManifest): boolean {
  return isDeepStrictEqual({ ...one, epoch: 0 }, { ...other, epoch: 0 })
}
