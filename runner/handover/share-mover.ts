/**
 * ShareMover: which partitions an instance has, and how they come and go while it works. The life of a share here:
 *
 *     comes   asked for (moves.ts) ──► read ──► given ──┐
 *                                                       ├──► adopted: the instance has it
 *             nobody gives it ──► read and claimed ─────┘
 *
 *     goes    asked for, prepared (moves.ts) ──► at rest ──► its image taken ──► accepted ──► released
 *             nobody asks for it ──────────────► at rest ──► accepted ──► stored ───────────► released
 *
 * Owns the instance's two sides of handovers. Invariants:
 *  SM1. What it has changes between two batches only: there a share is adopted, or put to rest. Nothing is waited for then, neither
 *       the store nor another instance: what is slow keeps its share away, or at rest, and holds up nothing else, neither records
 *       nor later assignments, but for SM2.
 *  SM2. A share that goes is at rest, its outputs accepted by the owners downstream, before its positions are told (I5). Where nobody
 *       asks for it, or nobody awaits it any more, later assignments wait for that, since it may be another's only then: for 4 s. Then
 *       what is done and not acknowledged is counted as dropped.
 *  SM3. The state of a share that comes is there before its partitions are claimed. One run brings a share at a time, and only
 *       as long as it is promised.
 *  SM4. A share whose changed state is too large for an answer stays at work until the store takes it. If it grows faster than
 *       that, it is put to rest where the store has just taken it, and the rest is stored then. It never goes without.
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
  byArena,
  lacking,
  type PartitionsByStream,
  partitionsOf,
  sharedOf,
  without,
  withPartitions,
} from '../checkpoint/partitions.ts'
import { isSilent } from '../checkpoint/slots.ts'
import type { StateKeeper } from '../checkpoint/state-keeper.ts'
import type { Isolate } from '../isolate/index.ts'
import { differenceOf } from './difference.ts'
import type { MovedState } from './message.ts'
import { type Given, Giver, type MoveAnswer, type MoveAsk, Taker } from './moves.ts'

/** How long outputs may take to be accepted where partitions go that nobody asked for, or awaits any more. */
const acceptedWaitMs = 4_000
/** Before the store is asked again that did not take a share, or gave no answer. */
const storeAgainMs = 1_000

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

interface Promised {
  /** Nobody gives it: it was left. */
  isLeft: boolean
}

interface Missing {
  readonly word: Awaited
  readonly partitions: PartitionsByStream
}

export class ShareMover {
  readonly #options: ShareMoverOptions
  readonly #giver: Giver<MovedState>
  readonly #taker: Taker<MovedState>
  #assignment: FunctionAssignment
  #instance: InstanceAssignment
  #owned: InstanceAssignment['partitions']
  /** What is to come, by arena. */
  readonly #promised = new Map<number, Promised>()
  /** By arena: the last run that reads it. */
  readonly #runs = new Map<number, Promise<unknown>>()
  /** Arenas that are about to be released. */
  readonly #resting = new Set<number>()
  #hasEnded = false
  readonly #giveUp = new AbortController()
  /** Shares that are being given: ends the wait for their outputs, and for the store (SM2). */
  readonly #giving = new Map<number, AbortController>()
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
      readAhead: (share) =>
        this.#inTurn(share, async () => {
          if (this.#promised.has(share)) await keeper?.readAhead(share)
        }),
      take: ({ share, epoch }, given) => this.#bring(share, epoch, given),
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

  /** Resolves when what is to go has been released; what is to come does so beside that. */
  async reassign(assignment: FunctionAssignment, instance: InstanceAssignment): Promise<void> {
    this.#assignment = assignment
    this.#instance = instance
    this.#fence()
    this.#want()
    const { giving = [], awaited = [], partitions } = instance
    const named = [...giving, ...awaited].map(({ share }) => share)
    named.push(...sharedOf(assignment.groupings, partitions))
    await Promise.all([this.#leave(), this.#letGo((share) => !named.includes(share))])
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

  /** What is promised and asked for from now on. */
  #want(): void {
    const { giving = [], partitions, epoch } = this.#instance
    const { consumer, producer, keeper } = this.#options
    this.#giver.want(giving, new Set(sharedOf(this.#assignment.groupings, partitions)))
    const { left, awaited } = this.#toCome()
    for (const [arena, { isLeft }] of this.#promised) {
      if (left.has(arena) || (awaited.has(arena) && !isLeft)) continue
      this.#promised.delete(arena)
      keeper?.forget(arena)
      if (this.#resting.has(arena)) continue // it has gone, and come back in vain
      const idle = lacking(lacking(this.#partitionsOf(arena), this.#owned), partitions)
      for (const [stream, list] of idle) consumer.release(stream, list)
    }
    for (const { word, partitions: coming } of awaited.values()) {
      if (!this.#promised.has(word.share)) this.#promised.set(word.share, { isLeft: false })
      for (const [stream, list] of coming) consumer.await(stream, list)
    }
    if (awaited.size > 0) producer.open(this.#assignment.manifest.ostreams)
    this.#taker.want([...awaited.values()].map(({ word }) => word))
    for (const arena of left.keys()) {
      const promised = this.#promised.get(arena) ?? { isLeft: false }
      this.#promised.set(arena, promised)
      if (promised.isLeft) continue
      promised.isLeft = true // its giver may have ended
      void this.#bring(arena, epoch)
    }
  }

  /** By arena: what nobody gives, and what is to be asked for, as far as it is not here. */
  #toCome(): { left: Map<number, PartitionsByStream>; awaited: Map<number, Missing> } {
    const { awaited = [] } = this.#instance
    const left = byArena(this.#assignment.groupings, this.#difference().come)
    const missing = awaited.flatMap((word) => {
      const partitions = lacking(this.#partitionsOf(word.share), this.#owned)
      return partitions.size > 0 ? [[word.share, { word, partitions }] as const] : []
    })
    return { left, awaited: new Map(missing) }
  }

  #difference(): ReturnType<typeof differenceOf> {
    return differenceOf(this.#owned, this.#instance, (share) => this.#partitionsOf(share))
  }

  /** SM3. */
  async #inTurn<T>(arena: number, run: () => Promise<T>): Promise<T> {
    const before = this.#runs.get(arena)
    const turn = (async (): Promise<T> => {
      await before?.catch(() => undefined)
      return await run()
    })()
    this.#runs.set(arena, turn)
    try {
      return await turn
    } finally {
      if (this.#runs.get(arena) === turn) this.#runs.delete(arena)
    }
  }

  /**
   * Brings what is promised: reads it beside the work, again and again if need be, and adopts it between two batches.
   * @param given What its giver has left; undefined: nobody gives it, and it is claimed.
   */
  async #bring(arena: number, epoch: number, given?: Given<MovedState>): Promise<void> {
    const promised = this.#promised.get(arena)
    const isDue = (): boolean =>
      promised !== undefined && this.#promised.get(arena) === promised && !this.#hasEnded
    try {
      await this.#inTurn(arena, async () => {
        const image = given?.state ?? (isDue() ? await this.#giver.takeBack(arena) : undefined)
        while (isDue()) {
          if (!(await this.#isRead(arena, epoch, image, isDue))) await this.#later()
          else if (isDue())
            await this.#options.between(async () => {
              if (isDue()) await this.#adopt(arena, epoch, given?.left)
            })
        }
      })
    } catch (error) {
      if (!this.#options.stopping.aborted) this.#options.onTrouble(error)
    }
  }

  /** Whether the store has given an answer. @throws {CodedError} where it is still due and cannot come at all */
  async #isRead(arena: number, epoch: number, image: MovedState, isDue: () => boolean): Promise<boolean> {
    try {
      await this.#options.keeper?.read(arena, epoch, image)
      return true
    } catch (error) {
      if (isSilent(error) || !isDue()) return false
      throw error
    }
  }

  /** SM1. */
  async #adopt(arena: number, epoch: number, left?: HandoverPositions): Promise<void> {
    const { keeper, isolate } = this.#options
    const toCome = this.#toCome()
    const missing = toCome.awaited.get(arena)?.partitions ?? toCome.left.get(arena)!
    this.#promised.delete(arena)
    isolate().keepPartitions(this.#arenas) // it may have had it earlier
    this.#owned = withPartitions(this.#owned, missing) // what is assigned meanwhile neither promises nor forgets it
    await keeper?.adopt(this.instance, arena)
    this.#own(missing, epoch, left)
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

  /** SM1: nothing of these partitions is processed any more. @returns Their arenas. */
  async #putToRest(partitions: PartitionsByStream): Promise<readonly number[]> {
    const { consumer, keeper, isolate, drop, endAside } = this.#options
    for (const [stream, list] of partitions) consumer.suspend(stream, list)
    drop(partitions)
    await endAside()
    if (isolate().isEnded) throw new Error('the isolate has ended over what was set aside')
    const before = this.#arenas
    this.#owned = without(this.#owned, partitions)
    isolate().keepPartitions(this.#arenas)
    const arenas = before.filter((arena) => !this.#arenas.includes(arena))
    for (const arena of arenas) {
      this.#resting.add(arena)
      keeper?.rest(arena)
    }
    return arenas
  }

  /** @param next Who will have them, if known. @returns Where the next owner continues. */
  #release(partitions: PartitionsByStream, arenas: readonly number[], next?: NextOwner): HandoverPositions {
    const { consumer, keeper } = this.#options
    const all = [...partitions].map(([stream, list]) => consumer.release(stream, list, next))
    for (const arena of arenas) {
      this.#resting.delete(arena)
      keeper?.letGo(arena)
    }
    return {
      since: Math.max(0, ...all.map(({ since }) => since)),
      ...(next && { next: next.owner }),
      channels: all.flatMap(({ channels }) => channels),
    }
  }

  /** Waits until the shares are not being given any more that nobody awaits now (SM2). */
  async #letGo(isOver: (share: number) => boolean): Promise<void> {
    const cancel = this.#options.clock.after(acceptedWaitMs, () => {
      for (const [share, wait] of this.#giving) if (isOver(share)) wait.abort()
    })
    await this.#giver.settled(isOver).finally(cancel)
  }

  /**
   * Gives up what nobody asks for. Outputs that the owners downstream do not take in time are sent all the same, then in no certain
   * order; and since they are lost if this process is killed, their records are counted (SM2).
   */
  async #leave(): Promise<void> {
    const { clock, keeper, between, lettersSafe, stopping } = this.#options
    if (this.#difference().gone.size === 0) return
    let gone: PartitionsByStream = new Map()
    const arenas = await between(async () => {
      gone = this.#difference().gone
      return gone.size === 0 ? [] : await this.#putToRest(gone)
    })
    const late = new AbortController()
    const cancel = clock.after(acceptedWaitMs, () => late.abort())
    const isAccepted = await this.#isAccepted(AbortSignal.any([stopping, late.signal])).finally(cancel)
    await lettersSafe(stopping)
    await keeper?.storeSoon()
    if (this.#hasEnded) return // all is left, with its state
    for (const arena of arenas) keeper?.close(arena)
    this.#count(gone, isAccepted)
    this.#release(gone, arenas)
  }

  #isAccepted(deadline: AbortSignal): Promise<boolean> {
    return this.#options.producer.accepted(deadline).then(
      () => true,
      () => false,
    )
  }

  /** What of these partitions is done, and nobody would count if this process were killed next. */
  #count(partitions: PartitionsByStream, isAccepted: boolean): void {
    const { consumer, keeper } = this.#options
    const goes = (stream: string, partition: number): boolean =>
      partitions.get(stream)?.includes(partition) === true
    if (!isAccepted) consumer.giveUp('undelivered', goes) // as LV2 of leaving.ts
    const untold = keeper?.untold
    if (untold !== undefined) consumer.giveUp('unstored', (stream, p) => goes(stream, p) && untold(stream, p)) // LV3
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
    const { consumer, keeper, between, lettersSafe } = this.#options
    const partitions = this.#partitionsOf(share)
    const arenas = await between(async () => {
      if (this.#instance.giving?.some((giving) => giving.share === share) !== true) return undefined
      const fits = keeper === undefined || keeper.image(share, consumer) !== undefined
      if (!fits && !(last && !this.#unstored.has(share))) return undefined // SM4
      return await this.#putToRest(partitions)
    })
    if (arenas === undefined) {
      if (last) await this.#later()
      return undefined
    }
    const wait = new AbortController()
    this.#giving.set(share, wait)
    const { signal } = this.#giveUp
    const state = await this.#imageOf(share, wait.signal)
    const isAccepted = await this.#isAccepted(AbortSignal.any([signal, wait.signal]))
    await lettersSafe(signal)
    this.#giving.delete(share)
    signal.throwIfAborted()
    this.#count(partitions, isAccepted)
    const left = this.#release(partitions, arenas, next)
    this.#options.onMoved()
    return { left, state }
  }

  /** The image of a share at rest; what is too much for it is stored (SM4). */
  async #imageOf(share: number, deadline: AbortSignal): Promise<MovedState> {
    const { keeper, consumer } = this.#options
    for (;;) {
      const image = keeper?.image(share, consumer)
      if (image !== undefined || keeper === undefined || deadline.aborted) {
        keeper?.close(share)
        return image
      }
      if (await keeper.prepare(share)) continue
      if (this.#hasEnded) throw new Error('the instance ends, and leaves its share where it is')
      await this.#later()
    }
  }

  async #later(): Promise<void> {
    const { clock, stopping } = this.#options
    await unlessAborted(sleep(clock, storeAgainMs), stopping)
  }

  /** Where the state of what it has lies. */
  get #arenas(): number[] {
    return arenasOf(this.#assignment.groupings, this.#owned)
  }

  #partitionsOf(share: number): PartitionsByStream {
    return partitionsOf(this.#assignment, share)
  }
}
