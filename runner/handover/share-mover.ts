/**
 * ShareMover: which partitions an instance has, and how they come and go while it works.
 *
 * Owns the instance's two sides of handovers. Invariants:
 *  SM1. What it has changes between two batches only.
 *  SM2. A share that goes is at rest, its outputs accepted by the owners downstream, before its positions are told (I5).
 *  SM3. The state of a share that comes is there before it is claimed. What is stored of it is read beside the work: a store that
 *       gives no answer keeps the share away, and stops nobody.
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
const outputsWaitMs = 4_000
/** Before the store is asked again that did not take a share, or gave no answer. */
const storeAgainMs = 1_000
const nothing: PartitionsByStream = new Map()

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
  #awaited: readonly Awaited[] = []
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
      preload: async (share, isLeft) => await keeper?.preload(share, isLeft),
      take: (awaited, given) => this.#take(awaited, given).catch((error) => this.#failed(error)),
      onTook: options.onMoved,
    })
    stopping.addEventListener('abort', () => this.#taker.want([]), { once: true })
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

  async reassign(assignment: FunctionAssignment, instance: InstanceAssignment): Promise<void> {
    this.#assignment = assignment
    this.#instance = instance
    this.#fence()
    this.#want()
    const { gone, come } = this.#difference()
    if (gone.size + come.size === 0) return
    await this.#giver.settled() // one of them may be on its way, and be ours again
    await this.#taker.settled() // or be taken already
    await Promise.all(this.#sharesOf(this.#difference().come).map((share) => this.#preload(share)))
    await this.#release(await this.#options.between(() => this.#change()))
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
    for (const { share } of this.#awaited) {
      if (awaited.some((other) => other.share === share)) continue
      keeper?.forget(share)
      const idle = lacking(lacking(this.#partitionsOf(share), this.#owned), partitions)
      for (const [stream, list] of idle) consumer.release(stream, list)
    }
    this.#awaited = awaited
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

  /** SM3, of a share that nobody gives. */
  async #preload(share: number): Promise<void> {
    const { keeper, stopping } = this.#options
    const isRead = async (): Promise<boolean> => {
      try {
        await keeper?.preload(share, true)
        return true
      } catch {
        return false
      }
    }
    while (!stopping.aborted && !(await unlessAborted(isRead(), stopping))) await this.#later()
  }

  /** Between two batches: gives up what nobody asks for, and takes what nobody has. @returns What is to be released beside the work. */
  async #change(): Promise<PartitionsByStream> {
    const { consumer, keeper, isolate, drop, endAside, stopping } = this.#options
    const { gone, come } = this.#difference()
    for (const [stream, partitions] of gone) consumer.suspend(stream, partitions)
    drop(gone)
    if (gone.size > 0) {
      await endAside()
      if (isolate().isEnded) return nothing // and so does the instance, which leaves all that it has
      await keeper?.handOver(consumer)
      if (stopping.aborted) return nothing // all is left, with its state
    }
    this.#owned = without(this.#owned, gone)
    isolate().keepPartitions(this.#arenas)
    this.#owned = withPartitions(this.#owned, come)
    for (const share of this.#sharesOf(come)) {
      const back = await this.#giver.takeBack(share)
      if (back !== undefined) await keeper?.receive(this.instance, share, back)
    }
    await keeper?.take(this.instance)
    this.#own(come, this.#instance.epoch)
    return gone
  }

  /** SM2. Should the owners downstream not take the outputs in time they are sent all the same, then in no certain order. */
  async #release(gone: PartitionsByStream): Promise<void> {
    if (gone.size === 0) return
    const { consumer, producer, keeper, lettersSafe, stopping } = this.#options
    const deadline = AbortSignal.any([stopping, AbortSignal.timeout(outputsWaitMs)])
    await producer.accepted(deadline).catch(() => undefined)
    await lettersSafe(stopping)
    if (stopping.aborted) return // all is left
    const untold = keeper?.untold
    if (untold !== undefined)
      consumer.giveUp('unstored', (stream, p) => gone.get(stream)?.includes(p) === true && untold(stream, p)) // LV3 of leaving.ts
    for (const [stream, partitions] of gone) consumer.release(stream, partitions)
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
      keeper?.tried.forget(share) // TT3 of tried-timers.ts
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
      if (missing.size === 0) return
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
