/**
 * StateKeeper: what a worker needs for its state: the initial positions, cuts between batches, and the last checkpoint.
 * Design: docs/design/0008-checkpoints.md
 * @module
 */
import { type Consumer, heard, type StatePositions, unlessAborted, type Wire } from '../../infra/bus/index.ts'
import type { Clock } from '../../infra/clock.ts'
import type { InstanceAssignment } from '../../infra/control/messages/assignment.ts'
import type { CheckpointReport } from '../../infra/control/messages/heartbeat.ts'
import type { Isolate } from '../isolate/index.ts'
import type { Base } from './bases.ts'
import type { Checkpointer } from './checkpointer.ts'
import type { ShareImage } from './share-image.ts'
import type { Restored } from './slot.ts'
import type { Slots } from './slots.ts'
import type { TriedTimers } from './tried-timers.ts'

/** How long a cut waits for what must precede its manifest. */
const settleMs = 30_000

export interface StateKeeperOptions {
  readonly clock: Clock
  /** The connection of announcements. */
  readonly wire: Wire
  readonly letters: { answered(signal: AbortSignal): Promise<void> }
}

export class StateKeeper {
  readonly #checkpointer: Checkpointer
  readonly #slots: Slots
  #isolate: Isolate
  readonly #options: StateKeeperOptions
  /** What the state contained when its owner began, by arena and input stream; only where there was state. */
  readonly #began = new Map<number, Readonly<Record<string, StatePositions>>>()
  readonly #leaving = new AbortController()

  /** @param restored The state with which the isolate was made. */
  constructor(
    checkpointer: Checkpointer,
    isolate: Isolate,
    restored: ReadonlyMap<number, Restored>,
    options: StateKeeperOptions,
  ) {
    this.#checkpointer = checkpointer
    this.#slots = checkpointer.slots
    this.#isolate = isolate
    this.#options = options
    for (const [arena, { inputs }] of restored) if (inputs !== undefined) this.#began.set(arena, inputs)
  }

  /** Says that another isolate has the state now. */
  use(isolate: Isolate): void {
    this.#isolate = isolate
  }

  get due(): boolean {
    return this.#checkpointer.due
  }

  /** For `ConsumerOptions.contains`. */
  contains(stream: string, partition: number): StatePositions | undefined {
    const inputs = this.#began.get(this.#slots.arenaOf(stream, partition))
    return inputs && (inputs[stream] ?? { lost: 0, positions: [] })
  }

  /** See `Slots.basesOf`. */
  basesOf(arena: number): readonly Base[] {
    return this.#slots.basesOf(arena)
  }

  /** See `Slots.readBase`. */
  readBase(arena: number, base: Base): Promise<readonly SharedArrayBuffer[]> {
    return this.#slots.readBase(arena, base)
  }

  /** Timers of its state that are called alone. */
  get tried(): TriedTimers {
    return this.#checkpointer.tried
  }

  start(): void {
    this.#checkpointer.start()
  }

  /** See `Checkpointer.begin`. */
  begin(consumer: Consumer, onTold: () => void): void {
    const positions = (stream: string, partition: number): StatePositions =>
      consumer.positions(stream, partition, 'acknowledged')
    this.#checkpointer.begin(this.#isolate.state, positions, onTold)
  }

  /** Tells of partitions with state of which the store does not know (FS1); undefined: there are none. */
  get untold(): ((stream: string, partition: number) => boolean) | undefined {
    const arenas = this.#checkpointer.untold
    return arenas && ((stream, partition) => arenas.has(this.#slots.arenaOf(stream, partition)))
  }

  /** Memory that the checkpoint under way may take yet. */
  get bytesAhead(): number {
    const pages = this.#checkpointer.pendingPages
    return pages === 0 ? 0 : this.#isolate.shadowBytesAhead(pages)
  }

  /** Makes a cut, or prepares it; between two batches, when due. A stop makes the last one instead. */
  async cut(consumer: Consumer): Promise<void> {
    if (this.#leaving.signal.aborted) return // the last one follows
    if (this.#checkpointer.takeNear()) return void (await this.#isolate.provideShadow())
    const startMs = this.#options.clock.monotonicMs()
    const shadow = await this.#isolate.provideShadow()
    void this.#checkpointer.cut({ ...this.#cutSource(consumer), shadow, startMs })
  }

  /** The instance stops: ends waits for the store between two batches, and a waiting cut gives way to the last one. */
  giveWay(): void {
    this.#leaving.abort()
  }

  /** Stores everything without the byte limit, between two batches. @returns Whether it was stored. */
  async store(consumer: Consumer): Promise<boolean> {
    const make = async () => ({ ...(await this.#wholeSource(consumer)), whole: true })
    return await this.#checkpointer.flush(make, this.#leaving.signal)
  }

  /** Reads what is stored of a share that its owner is about to give, beside the work. @throws {CodedError} why it cannot come yet */
  async readAhead(share: number): Promise<void> {
    await this.#slots.readAhead(share)
  }

  /**
   * Reads state that is to come, beside the work; `adopt` follows.
   * @param image What its owner has given; absent: nobody gives it, and it is claimed.
   */
  async read(arena: number, epoch: number, image?: ShareImage): Promise<void> {
    if (this.#slots.get(arena) !== undefined) return // it gets partitions of another input
    if (image === undefined) await this.#slots.restore(arena, epoch)
    else await this.#slots.receive(arena, epoch, image)
  }

  /** Forgets promised state that stays with its owner. */
  forget(arena: number): void {
    this.#slots.forget(arena)
  }

  /**
   * Gives the isolate the state that was read, between two batches; it was told before what it keeps.
   * @param instance With the partitions that come.
   */
  async adopt(instance: InstanceAssignment, arena: number): Promise<void> {
    this.#slots.assign(instance)
    if (this.#slots.get(arena) !== undefined) return
    const { slabs, inputs } = this.#slots.open(arena, this.#isolate.commitWord)
    await this.#isolate.adopt(arena, slabs)
    if (inputs !== undefined) this.#began.set(arena, inputs)
    this.#slots.own(arena) // OW1
  }

  /** Stores the state of a share, as the base of its image, beside the work. @returns Whether it was stored. */
  async prepare(share: number): Promise<boolean> {
    this.#slots.keep(share) // it may have been prepared before, and changed too much since
    const isStored = await this.storeSoon()
    this.#slots.prepare(share)
    return isStored
  }

  /** Keeps a share that was prepared. */
  keep(share: number): void {
    this.#slots.keep(share)
  }

  /** The isolate forgets an arena. What is in it stays as it is until `letGo`, and may be stored or told meanwhile. */
  rest(arena: number): void {
    this.#isolate.state.rest(arena)
  }

  /** Stores what rests, beside the work; at a stop, the last checkpoint does. @returns Whether it was stored. */
  async storeSoon(): Promise<boolean> {
    return (await unlessAborted(this.#checkpointer.soon(), this.#leaving.signal)) === true
  }

  /** @returns Undefined if too much has changed since the share was prepared, or if its store is behind. */
  image(share: number, consumer: Consumer): ShareImage | undefined {
    const { arenas, positions } = this.#source(consumer)
    return this.#checkpointer.imageOf(share, new Map(arenas).get(share), positions)
  }

  /** Nothing more is stored of an arena that rests: its image was taken, or its positions are about to be told (TT3 of tried-timers.ts). */
  close(arena: number): void {
    this.tried.forget(arena)
    this.#slots.close(arena)
  }

  /** Releases an arena that rests, when its partitions were released. */
  letGo(arena: number): void {
    this.#began.delete(arena)
    this.#slots.letGo(arena)
    this.#isolate.state.letGo(arena)
  }

  /** Before it works: what it is to have has changed. */
  async change(instance: InstanceAssignment): Promise<void> {
    const arenas = this.#slots.arenasOf(instance)
    const had = [...this.#slots.all()].map(({ partition }) => partition)
    this.#isolate.keepPartitions(had.filter((arena) => arenas.includes(arena)))
    for (const arena of had.filter((one) => !arenas.includes(one))) {
      this.rest(arena)
      this.letGo(arena)
    }
    const come = arenas.filter((arena) => !had.includes(arena))
    await Promise.all(come.map((arena) => this.read(arena, instance.epoch)))
    this.#slots.assign(instance)
    for (const arena of come) await this.adopt(instance, arena)
  }

  /**
   * Makes the last checkpoint of a clean end within `ms`, once; the isolate is idle or has ended.
   * @param lettersMs After this, unanswered letters are given up and counted.
   */
  async last(consumer: Consumer, ms: number, lettersMs: number): Promise<void> {
    const { promise: late, resolve } = Promise.withResolvers<void>()
    const cancel = this.#options.clock.after(ms, resolve)
    await Promise.race([this.#last(consumer, AbortSignal.timeout(ms), AbortSignal.timeout(lettersMs)), late])
    cancel()
    this.#checkpointer.end()
  }

  report(): CheckpointReport {
    return this.#checkpointer.report()
  }

  async #last(consumer: Consumer, deadline: AbortSignal, lettersDeadline: AbortSignal): Promise<void> {
    this.giveWay()
    const isolate = this.#isolate
    const letters = this.#options.letters.answered(lettersDeadline).catch(() => undefined)
    const settled = Promise.all([heard(this.#options.wire, deadline), letters]).then(() => undefined)
    settled.catch(() => undefined) // nobody waits for it while another cut is being shipped
    await this.#checkpointer.last(async () => {
      const source = await this.#wholeSource(consumer, settled)
      if (!isolate.isEnded) return source
      // If its thread may still write, its state cannot be kept.
      return (await isolate.ended()) ? { ...source, commitWord: isolate.state.commitWord } : undefined
    })
  }

  /** Resolves when the server has heard what was touched, so that it counts after a kill, and the dead letters posted so far are answered. */
  async #settled(): Promise<void> {
    const { wire, letters } = this.#options
    const signal = AbortSignal.any([AbortSignal.timeout(settleMs), this.#leaving.signal])
    try {
      await Promise.all([heard(wire, signal), letters.answered(signal)])
    } catch {
      const what = this.#leaving.signal.aborted ? 'its instance ends' : `for ${settleMs / 1000} s`
      throw new Error(`NATS has not heard what goes ahead of it, ${what}`)
    }
  }

  #cutSource(consumer: Consumer, settled = this.#settled()) {
    settled.catch(() => undefined) // nobody waits for it if nothing has changed
    return { ...this.#source(consumer), settled }
  }

  /** While nothing is being shipped: the isolate may get other memory for copies, and give up some of its own. */
  async #wholeSource(consumer: Consumer, settled = this.#settled()) {
    settled.catch(() => undefined) // it may fail while the isolate is at work
    const shadow = await this.#isolate.provideShadow()
    return { ...this.#cutSource(consumer, settled), shadow }
  }

  #source(consumer: Consumer) {
    return {
      arenas: this.#isolate.state.arenas(),
      positions: (stream: string, partition: number) => consumer.positions(stream, partition),
    }
  }
}
