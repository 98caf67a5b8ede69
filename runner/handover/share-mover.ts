/**
 * ShareMover: which partitions an instance has, and how they come and go while it works.
 *
 * Owns the instance's two sides of handovers. Invariants:
 *  SM1. What it has changes between two batches only.
 *  SM2. A share that goes is at rest, its outputs accepted by the owners downstream, before its positions are told (I5).
 *  SM3. The state of a share that comes is there before it is claimed. What is stored of it is read beside the work: a store that
 *       gives no answer keeps the share away, and holds up nothing else, neither records nor later assignments.
 *  SM4. A share whose changed state is too large for an answer stays at work until it is stored. Between two batches, where the
 *       whole instance waits for it, it is stored only if the store has just taken it beside the work. It never goes without.
 * Design: docs/design/0011-handover.md
 * @module
 */
import {
  type Consumer,
  type HandoverPositions,
  type NextOwner,
  originOf,
  type Producer,
  unlessAborted,
} from '../../infra/bus/index.ts'
import { type Clock, sleep } from '../../infra/clock.ts'
import type {
  Awaited,
  FunctionAssignment,
  InstanceAssignment,
} from '../../infra/control/messages/assignment.ts'
import { LostError } from '../../infra/jetstream.ts'
import {
  arenasOf,
  lacking,
  type PartitionsByStream,
  partitionsOf,
  sharedOf,
  without,
  withPartitions,
} from '../checkpoint/partitions.ts'
import type { StateKeeper } from '../checkpoint/state-keeper.ts'
import type { Isolate } from '../isolate/index.ts'
import { differenceOf } from './difference.ts'
import type { MovedState } from './message.ts'
import { type Given, Giver, type MoveAnswer, type MoveAsk, Taker } from './moves.ts'

/** How long outputs may take to be accepted where partitions go that nobody asked for. */
const acceptedWaitMs = 4_000
/** Before the store is asked again that did not take a share, or gave no answer. */
const storeAgainMs = 1_000

/** What goes unasked, at rest. */
interface Going {
  readonly partitions: PartitionsByStream
  readonly arenas: readonly number[]
}

export interface ShareMoverOptions {
  readonly namespace: string
  readonly clock: Clock
  readonly consumer: Consumer
  readonly producer: Producer
  /** The one at work. */
  readonly isolate: () => Isolate
  readonly keeper: StateKeeper | undefined
  readonly ask: (task: string, ask: MoveAsk) => Promise<MoveAnswer<MovedState>>
  /** Runs something between two batches. @throws if there is none any more */
  readonly between: <T>(run: () => Promise<T>) => Promise<T>
  /** Forgets the taken frames of these partitions; between two batches. */
  readonly drop: (partitions: PartitionsByStream) => void
  /** Between two batches: nothing stays set aside. */
  readonly endAside: () => Promise<void>
  /** Waits for the answers to dead letters. */
  readonly lettersSafe: (deadline: AbortSignal) => Promise<boolean>
  /** Partitions are about to come whose owner may have been killed by what it was at. */
  readonly onOwn: () => void
  readonly stopping: AbortSignal
  readonly onMoved: () => void
  /** It cannot go on. */
  readonly onTrouble: (error: unknown) => void
}

export class ShareMover {
  readonly #options: ShareMoverOptions
  readonly #giver: Giver<MovedState>
  readonly #taker: Taker<MovedState>
  #assignment: FunctionAssignment
  #instance: InstanceAssignment
  #owned: InstanceAssignment['partitions']
  /** Shares that are to come, from a giver or from nobody. */
  #promised: readonly number[] = []
  /** Those of which what is stored is being read. */
  readonly #reading = new Map<number, Promise<void>>()
  #isTakingLeft = false
  #hasEnded = false
  readonly #giveUp = new AbortController()
  /** Shares that the store did not take when they were prepared. */
  readonly #unstored = new Set<number>()

  constructor(options: ShareMoverOptions, assignment: FunctionAssignment, instance: InstanceAssignment) {
    this.#options = options
    this.#assignment = assignment
    this.#instance = instance
    this.#owned = instance.partitions
    const { clock, keeper, ask, stopping } = options
    this.#giver = new Giver({
      clock,
      owns: (share) => lacking(this.#partitionsOf(share), this.#owned).size === 0,
      prepare: (share) => this.#prepare(share),
      give: (share, last, next) => this.#give(share, last, next),
      keep: (share) => keeper?.keep(share),
    })
    this.#taker = new Taker({
      ...{ clock, owner: options.consumer.owner, ask },
      preload: (share, isLeft) => this.#preload(share, isLeft),
      take: (awaited, given) => this.#take(awaited, given).catch((error) => this.#failed(error)),
      onTook: options.onMoved,
    })
    stopping.addEventListener('abort', () => this.end(), { once: true })
  }

  /** The instance with the partitions that it has. */
  get instance(): InstanceAssignment {
    return { ...this.#instance, partitions: this.#owned }
  }

  /** Shares promised and not taken yet. */
  get awaited(): readonly number[] {
    return this.#taker.awaited
  }

  /** Claims what it begins with. */
  start(): void {
    this.#fence()
    this.#own(Object.entries(this.#owned), this.#instance.epoch)
    this.#want()
  }

  /** Resolves when what is to go has been released; what nobody gives is taken beside that. */
  async reassign(assignment: FunctionAssignment, instance: InstanceAssignment): Promise<void> {
    this.#assignment = assignment
    this.#instance = instance
    this.#fence()
    this.#want()
    const { gone, come } = this.#difference()
    if (gone.size + come.size === 0) return
    await this.#giver.settled() // one of them may be on its way, and be ours again
    await this.#taker.settled() // or be taken already
    const isLess = this.#difference().gone.size > 0
    const left = isLess ? await this.#options.between(() => this.#leave()) : undefined
    void this.#takeLeft()
    if (left !== undefined) await this.#release(left)
  }

  /** Nothing more comes: the instance ends. */
  end(): void {
    this.#hasEnded = true
    this.#taker.want([])
  }

  answer(ask: MoveAsk): Promise<MoveAnswer<MovedState>> {
    return this.#giver.answer(ask)
  }

  /** At a stop: shares that are being given go to who asked for them; those that cannot in time are left with the others. */
  async settled(deadline: AbortSignal): Promise<void> {
    const giveUp = (): void => this.#giveUp.abort()
    deadline.addEventListener('abort', giveUp, { once: true })
    await this.#giver.settled()
    deadline.removeEventListener('abort', giveUp)
  }

  #fence(): void {
    const { producer, namespace } = this.#options
    for (const { index, epoch } of this.#instance.fences ?? [])
      producer.fence(originOf(namespace, this.#assignment.function, index), epoch)
  }

  #want(): void {
    const { giving = [], awaited = [], partitions } = this.#instance
    const { consumer, producer, keeper } = this.#options
    this.#giver.want(giving, new Set(sharedOf(this.#assignment.groupings, partitions)))
    const promised = [...awaited.map(({ share }) => share), ...this.#sharesOf(this.#difference().come)]
    for (const share of this.#promised) {
      if (promised.includes(share)) continue
      keeper?.forget(share)
      const idle = lacking(lacking(this.#partitionsOf(share), this.#owned), partitions)
      for (const [stream, list] of idle) consumer.release(stream, list)
    }
    this.#promised = promised
    const missing = awaited.filter(({ share }) => lacking(this.#partitionsOf(share), this.#owned).size > 0)
    const coming = missing.reduce(
      (all, { share }) => withPartitions(all, this.#partitionsOf(share)),
      {} as InstanceAssignment['partitions'],
    )
    for (const [stream, list] of Object.entries(coming)) consumer.await(stream, list)
    if (missing.length > 0) producer.open(this.#assignment.manifest.ostreams)
    this.#taker.want(missing)
  }

  #difference(): ReturnType<typeof differenceOf> {
    return differenceOf(this.#owned, this.#instance, (share) => this.#partitionsOf(share))
  }

  /** SM3. One read of a share follows the other. @throws where it has to be read again */
  async #preload(share: number, isLeft: boolean): Promise<void> {
    const { keeper } = this.#options
    const before = this.#reading.get(share)
    const reading = (async (): Promise<void> => {
      await before?.catch(() => undefined)
      await keeper?.preload(share, isLeft)
    })()
    this.#reading.set(share, reading)
    try {
      await reading
    } catch (error) {
      if (isLeft && (error as Error).cause instanceof LostError) this.#failed(error) // nobody can store it any more
      throw error
    } finally {
      if (this.#reading.get(share) === reading) this.#reading.delete(share)
    }
  }

  /** SM3: takes what nobody gives as it can be read, until the newest assignment has nothing more of it. */
  async #takeLeft(): Promise<void> {
    if (this.#isTakingLeft) return
    this.#isTakingLeft = true
    try {
      while (!this.#hasEnded && this.#difference().come.size > 0) {
        await this.#giver.settled() // as in `reassign`
        await this.#taker.settled()
        const shares = this.#sharesOf(this.#difference().come)
        const reads = await Promise.allSettled(shares.map((share) => this.#preload(share, true)))
        const read = shares.filter((_, i) => reads[i]!.status === 'fulfilled')
        if (this.#readOf(read).size > 0) await this.#options.between(() => this.#takeRead(read))
        if (read.length < shares.length) await this.#later()
      }
    } catch (error) {
      this.#failed(error)
    } finally {
      this.#isTakingLeft = false
    }
  }

  /** What is to come of these shares, and of what is in no share. */
  #readOf(shares: readonly number[]): PartitionsByStream {
    const { come } = this.#difference()
    const others = this.#sharesOf(come).filter((share) => !shares.includes(share))
    return others.reduce((rest, share) => lacking(rest, Object.fromEntries(this.#partitionsOf(share))), come)
  }

  /** Between two batches: takes of that what is still to come. */
  async #takeRead(shares: readonly number[]): Promise<void> {
    const { keeper, isolate } = this.#options
    const { epoch } = this.#instance
    const come = this.#readOf(shares)
    isolate().keepPartitions(this.#arenas)
    this.#owned = withPartitions(this.#owned, come)
    for (const share of this.#sharesOf(come)) {
      const back = await this.#giver.takeBack(share)
      if (back !== undefined) await keeper?.receive(this.instance, share, back)
    }
    await keeper?.take(this.instance)
    this.#own(come, epoch)
  }

  /** Between two batches: gives up what nobody asks for. @returns What is to be released beside the work. */
  async #leave(): Promise<Going | undefined> {
    const { consumer, keeper, isolate, drop, endAside, stopping } = this.#options
    const { gone } = this.#difference()
    if (gone.size === 0) return undefined
    for (const [stream, partitions] of gone) consumer.suspend(stream, partitions)
    drop(gone)
    await endAside()
    if (isolate().isEnded) return undefined // and so does the instance, which leaves all that it has
    await keeper?.handOver(consumer)
    if (stopping.aborted) return undefined // all is left, with its state
    const before = this.#arenas
    this.#owned = without(this.#owned, gone)
    isolate().keepPartitions(this.#arenas)
    const arenas = before.filter((arena) => !this.#arenas.includes(arena))
    for (const arena of arenas) keeper?.rest(arena)
    return { partitions: gone, arenas }
  }

  /** SM2. Should the owners downstream not take the outputs in time they are sent all the same, then in no certain order. */
  async #release({ partitions: gone, arenas }: Going): Promise<void> {
    const { consumer, producer, keeper, lettersSafe, stopping } = this.#options
    const deadline = AbortSignal.any([stopping, AbortSignal.timeout(acceptedWaitMs)])
    await producer.accepted(deadline).catch(() => undefined)
    await lettersSafe(stopping)
    if (stopping.aborted) return // all is left
    const untold = keeper?.untold
    if (untold !== undefined)
      consumer.giveUp('unstored', (stream, p) => gone.get(stream)?.includes(p) === true && untold(stream, p)) // LV3 of leaving.ts
    for (const [stream, partitions] of gone) consumer.release(stream, partitions)
    for (const arena of arenas) keeper?.letGo(arena)
  }

  async #prepare(share: number): Promise<void> {
    this.#unstored.add(share)
    if ((await this.#options.keeper?.prepare(share)) !== false) this.#unstored.delete(share)
  }

  async #give(
    share: number,
    last: boolean,
    next: NextOwner | undefined,
  ): Promise<Given<MovedState> | undefined> {
    const { consumer, producer, keeper, isolate, drop, endAside, between, lettersSafe } = this.#options
    const { stopping } = this.#options
    const partitions = this.#partitionsOf(share)
    const image = await between(async (): Promise<MovedState | 'tooMuch'> => {
      const fits = keeper === undefined || keeper.image(share, consumer) !== undefined
      const mayWait = last && !this.#unstored.has(share)
      if (!fits && !(mayWait && (await keeper.wholeImage(share, consumer)) !== undefined)) return 'tooMuch' // SM4
      for (const [stream, list] of partitions) consumer.suspend(stream, list)
      drop(partitions)
      await endAside()
      if (isolate().isEnded) throw new Error('the isolate has ended over what was set aside')
      let whole = keeper?.image(share, consumer)
      while (keeper !== undefined && whole === undefined) {
        whole = await keeper.wholeImage(share, consumer)
        if (whole === undefined && stopping.aborted)
          throw new Error('the instance ends, and leaves its share where it is')
        if (whole === undefined) await this.#later()
      }
      keeper?.rest(share)
      this.#owned = without(this.#owned, partitions)
      isolate().keepPartitions(this.#arenas.filter((arena) => arena !== share))
      return whole
    })
    if (image === 'tooMuch') {
      if (last) await this.#later()
      return undefined
    }
    const { signal } = this.#giveUp
    await producer.accepted(signal)
    await lettersSafe(signal)
    signal.throwIfAborted()
    const all = [...partitions].map(([stream, list]) => consumer.release(stream, list, next))
    keeper?.letGo(share)
    const left: HandoverPositions = {
      since: Math.max(0, ...all.map(({ since }) => since)),
      ...(next && { next: next.owner }),
      channels: all.flatMap(({ channels }) => channels),
    }
    this.#options.onMoved()
    return { left, state: image }
  }

  async #later(): Promise<void> {
    const { clock, stopping } = this.#options
    await unlessAborted(sleep(clock, storeAgainMs), stopping)
  }

  async #take({ share, epoch }: Awaited, given: Given<MovedState> | undefined): Promise<void> {
    const { keeper, isolate, between } = this.#options
    await between(async () => {
      const missing = lacking(this.#partitionsOf(share), this.#owned)
      if (missing.size === 0 || !this.#promised.includes(share)) return
      isolate().keepPartitions(this.#arenas.filter((arena) => arena !== share))
      this.#owned = withPartitions(this.#owned, missing)
      if (given?.state !== undefined) await keeper?.receive(this.instance, share, given.state)
      else await keeper?.take(this.instance)
      this.#own(missing, epoch, given?.left)
    })
  }

  #own(
    partitions: Iterable<readonly [string, readonly number[]]>,
    epoch: number,
    from?: HandoverPositions,
  ): void {
    const { consumer, onOwn } = this.#options
    onOwn()
    for (const [stream, list] of partitions) consumer.own(stream, list, epoch, from)
  }

  /** Where the state of what it has lies. */
  get #arenas(): number[] {
    return arenasOf(this.#assignment.groupings, this.#owned)
  }

  #failed(error: unknown): void {
    if (!this.#options.stopping.aborted) this.#options.onTrouble(error)
  }

  #sharesOf(partitions: PartitionsByStream): number[] {
    return sharedOf(this.#assignment.groupings, Object.fromEntries(partitions))
  }

  #partitionsOf(share: number): PartitionsByStream {
    return partitionsOf(this.#assignment, share)
  }
}
