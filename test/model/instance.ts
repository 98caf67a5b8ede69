/**
 * ModelInstance: an instance of the function `f` as a runner hosts it, without an isolate. It passes each record on,
 * together with the record that its state knew as the previous one.
 *
 * An output is five words: producer's index, number, previous number (-1 for none), this instance, epoch of the
 * share.
 * @module
 */
import type { HandoverPositions, NextOwner, Wire } from '../../infra/bus/index.ts'
import {
  Consumer,
  heard,
  originOf,
  Producer,
  type StatePositions,
  type TakenFrame,
} from '../../infra/bus/index.ts'
import type { ManualClock } from '../../infra/clock.ts'
import type { Awaited, Giving } from '../../infra/control/messages/assignment.ts'
import type { StreamDescriptor } from '../../infra/control/messages/streams.ts'
import { differenceOf } from '../../runner/handover/difference.ts'
import { type Given, Giver, type MoveAnswer, type MoveAsk, Taker } from '../../runner/handover/moves.ts'
import { Acknowledger } from '../../runner/instance/acknowledger.ts'
import { frameOf, parseFrame, recordsOf } from '../../sdk/wire/frame.ts'
import type { Bug } from './bugs.ts'
import type { Cut, ModelCheckpoints, ShareState } from './checkpoints.ts'

/** So large that a sink which does not read soon leaves outputs without credit. */
const outputBytes = 800
const noKey = new Uint8Array(0)
/** By slot. */
const origins = new Map<number, string>()
const heldBytesMax = 4096
/** So little that what passes is often more. */
const passedBytes = 3000

export interface ModelAssignment {
  /** The instance's: it grows with each change of what it is told to have. */
  readonly epoch: number
  /** Epochs of the shares that are its own, or were. */
  readonly shares: ReadonlyMap<number, number>
  readonly awaited: readonly Awaited[]
  readonly giving: readonly Giving[]
  /** Slots whose last holder is gone, with an epoch above its own. */
  readonly fences: ReadonlyMap<number, number>
}

export interface ModelInstanceOptions {
  readonly wire: Wire
  readonly clock: ManualClock
  readonly index: number
  readonly serial: number
  readonly epoch: number
  readonly output: StreamDescriptor
  readonly checkpoints: ModelCheckpoints
  readonly ask: (task: string, ask: MoveAsk) => Promise<MoveAnswer<ShareState>>
  readonly onSuperseded: () => void
  /** Another owner has the state of a share: it ends. */
  readonly onRefused: (why: string) => void
  readonly onClaim: (share: number, epoch: number) => void
  /** It has left a share in order. */
  readonly onLeft: (share: number, epoch: number, left: HandoverPositions, next?: NextOwner) => void
  readonly bugs: ReadonlySet<Bug>
}

export class ModelInstance {
  readonly consumer: Consumer
  readonly producer: Producer
  readonly #options: ModelInstanceOptions
  readonly #giver: Giver<ShareState>
  readonly #taker: Taker<ShareState>
  readonly #acknowledger: Acknowledger
  readonly #epochs = new Map<number, number>()
  readonly #state = new Map<number, Map<number, number>>()
  /** What the state contained when it came; only where there was state. */
  readonly #began = new Map<number, StatePositions>()
  /** Of what it has: what it has stored or claimed last, and the epoch of that. */
  readonly #slots = new Map<number, { epoch: number; revision: number }>()
  /** Shares that are about to be given: what is stored of them stays. */
  readonly #held = new Set<number>()
  readonly #answers = new Map<number, MoveAnswer<ShareState>>()
  readonly #returning = new Set<number>()
  /** Raised for others' slots. */
  readonly #fences = new Map<number, number>()
  #hand: TakenFrame[] = []
  /** Of its newest assignment, and of the one by which it took something last. */
  #epoch: number
  #claimed: number
  /** Shares that it awaits. */
  #heard: readonly number[] = []
  readonly #firsts = new Map<number, Map<string, number>>()

  constructor(options: ModelInstanceOptions) {
    this.#options = options
    const { wire, clock, index, epoch, output, ask, bugs } = options
    this.#epoch = this.#claimed = epoch
    this.producer = new Producer({ wire, namespace: 'n', origin: originAt(index), epoch, clock })
    this.producer.setStream(output)
    if (!bugs.has('no-fence')) this.producer.fence()
    this.consumer = new Consumer({
      wire: bugs.has('takes-told-for-heard') ? tellingNothingAnew(wire) : wire,
      namespace: 'n',
      name: 'f',
      epoch,
      clock,
      windowBytes: 4096,
      passedBytes,
      contains: (_stream, share) => this.#began.get(share),
      onFrames: () => undefined,
      onSuperseded: options.onSuperseded,
    })
    this.#acknowledger = new Acknowledger({
      ...{ consumer: this.consumer, producer: this.producer, clock, stopping: new AbortController().signal },
      ...{ letterBox: { flush: () => undefined, sent: () => undefined }, onAcknowledged: () => undefined },
    })
    this.#giver = new Giver({
      clock,
      owns: (share) => this.#epochs.has(share),
      prepare: async (share) => {
        this.#held.add(share)
        await this.#store(share)
      },
      give: (share, _last, next) => this.#give(share, next),
      keep: (share) => void this.#held.delete(share),
    })
    this.#taker = new Taker({
      ...{ clock, owner: this.consumer.owner, ask },
      readAhead: async (share) => this.#preload(share),
      take: ({ share, epoch }, given) => this.#own(share, epoch, given),
      onTook: () => undefined,
    })
  }

  get task(): string {
    return `f${this.#options.serial}`
  }

  /** Shares that it owns, with their epochs. */
  get owned(): ReadonlyMap<number, number> {
    return this.#epochs
  }

  async answer(ask: MoveAsk): Promise<MoveAnswer<ShareState>> {
    const before = this.#options.bugs.has('gives-twice') ? this.#answers.get(ask.share) : undefined
    const answer = before ?? (await this.#giver.answer(ask))
    if (answer.ok) this.#answers.set(ask.share, answer)
    return answer
  }

  assign({ epoch, shares, awaited, giving, fences }: ModelAssignment): void {
    const { bugs, index } = this.#options
    this.#epoch = epoch
    if (!bugs.has('no-fence') && !bugs.has('fences-own-slot-only'))
      for (const [slot, below] of fences) if (slot !== index) this.#fence(slot, below)
    this.#giver.want(giving, new Set(shares.keys()))
    const missing = awaited.filter(({ share }) => !this.#epochs.has(share))
    this.#hear(
      missing.map(({ share }) => share),
      shares,
    )
    this.#taker.want(bugs.has('takes-unasked') ? [] : missing)
    if (bugs.has('takes-unasked')) for (const { share, epoch } of missing) this.#own(share, epoch)
    const own = [...shares.keys()].filter((share) => !giving.some((given) => given.share === share))
    const { gone, come } = differenceOf(
      { s: [...this.#epochs.keys()] },
      { partitions: { s: own }, giving, awaited: bugs.has('forgets-the-awaited') ? [] : awaited },
      (share) => new Map([['s', [share]]]),
    )
    for (const share of gone.get('s') ?? []) this.#giveUp(share)
    for (const share of come.get('s') ?? []) void this.#ownAgain(share, shares.get(share)!)
  }

  /** Once: what is raised already would only be heard again. */
  #fence(slot: number, below: number): void {
    if (this.#fences.get(slot) === below) return
    this.#fences.set(slot, below)
    this.producer.fence(originAt(slot), below)
  }

  /** A checkpoint of all that it has. */
  checkpoint(): void {
    for (const share of this.#epochs.keys()) if (!this.#held.has(share)) void this.#store(share)
  }

  /** Shares that are promised are heard, and what is neither promised nor its own any more is not. */
  #hear(awaited: readonly number[], own: ReadonlyMap<number, number>): void {
    const { consumer } = this
    const idle = this.#heard.filter(
      (share) => !awaited.includes(share) && !own.has(share) && !this.#epochs.has(share),
    )
    consumer.release('s', idle)
    const more = awaited.filter((share) => !this.#heard.includes(share))
    if (more.length > 0) consumer.await('s', more)
    if (this.#options.bugs.has('begins-with-what-passed')) for (const share of more) this.#noteFirst(share)
    this.#heard = awaited
  }

  /** Of each producer: what comes first by a share that is awaited. */
  #noteFirst(share: number): void {
    const first = new Map<string, number>()
    this.#firsts.set(share, first)
    this.#options.wire.subscribe(`concord.n.s.s.${share}`, (bytes) => {
      const { producer, sequence, count } = parseFrame(bytes)
      if (count > 0 && !first.has(producer)) first.set(producer, sequence)
    })
  }

  async #ownAgain(share: number, epoch: number): Promise<void> {
    if (this.#returning.has(share)) return
    this.#returning.add(share)
    const state = await this.#giver.takeBack(share)
    this.#returning.delete(share)
    this.#own(share, epoch, state && { left: undefined, state })
  }

  /** Takes what is queued, and processes and passes on up to `most` records of what is in hand. */
  process(most: number): void {
    const { consumer, producer } = this
    if (producer.heldBytes > heldBytesMax) return this.acknowledge()
    this.#hand.push(...consumer.take(500))
    this.#acknowledger.begun(this.#hand)
    if (!this.#options.bugs.has('outputs-before-announced')) this.#acknowledger.announce()
    for (let left = most; left > 0 && this.#hand.length > 0; ) {
      const frame = this.#hand[0]!
      const all = [...recordsOf(frame.bytes, frame.header)].slice(frame.skip + frame.finished)
      const now = all.slice(0, left)
      const outputs = now.map(({ value }) => this.#output(frame.partition, value))
      producer.send('o', frame.partition, frameOf(outputs), outputs.length)
      consumer.done(frame, now.length)
      left -= now.length
      if (now.length === all.length) this.#hand.shift()
    }
    this.acknowledge()
  }

  acknowledge(): void {
    if (!this.#options.bugs.has('acknowledges-sent')) return this.#acknowledger.acknowledge()
    if (this.producer.heldBytes === 0) this.consumer.acknowledge()
  }

  #own(share: number, epoch: number, given?: Given<ShareState>): void {
    if (this.#epochs.has(share)) return
    const cut = given === undefined ? this.#restore(share, this.#epoch) : this.#take(share, given.state)
    if (cut === undefined) return
    this.#state.set(share, new Map(cut.records))
    if (cut.contained === undefined) this.#began.delete(share)
    else this.#began.set(share, cut.contained)
    this.#epochs.set(share, epoch)
    this.#options.onClaim(share, epoch)
    this.consumer.own('s', [share], epoch, given?.left && this.#seenBy(share, given.left))
  }

  /** With the bug: it does not ask for what it has not heard. */
  #seenBy(share: number, left: HandoverPositions): HandoverPositions {
    const first = this.#firsts.get(share)
    const channels = left.channels.map((at) => ({
      ...at,
      through: Math.max(at.through, first?.get(at.producer) ?? 0),
    }))
    return first === undefined ? left : { ...left, channels }
  }

  /** With what its giver says; or with what was stored since. @returns Undefined: it ends. */
  #take(share: number, { records, contained, base, epoch }: ShareState): Cut | undefined {
    const { checkpoints, bugs } = this.#options
    const stored = checkpoints.read(share)
    const own = bugs.has('forgets-the-givers-epoch') ? this.#epoch : Math.max(this.#epoch, epoch)
    const late = (stored?.epoch ?? 0) > own && !bugs.has('takes-what-was-taken-back')
    if (stored?.number !== base || late) return this.#restore(share, own)
    this.#claim(share, Math.max(own, stored?.epoch ?? 0))
    return { records: bugs.has('forgets-changes') ? (stored?.records ?? []) : records, contained }
  }

  /** What a living owner's giver, or nobody, has left (K2 of checkpoints.ts). @returns Undefined: it ends. */
  #restore(share: number, epoch: number): Cut | undefined {
    const stored = this.#options.checkpoints.read(share)
    if (stored !== undefined && stored.epoch > epoch) {
      this.#options.onRefused(`share ${share} is stored at epoch ${stored.epoch}, and it is at ${epoch}`)
      return undefined
    }
    for (const slot of this.#slots.values()) slot.epoch = Math.max(slot.epoch, this.#epoch)
    return this.#claim(share, epoch)
  }

  #claim(share: number, epoch: number): Cut {
    const { checkpoints } = this.#options
    this.#claimed = this.#epoch
    const stored = checkpoints.write(share, epoch, checkpoints.read(share)?.revision ?? 0)!
    this.#slots.set(share, { epoch, revision: stored.revision })
    return stored
  }

  /** Stores its state of now, as soon as the server has heard what was touched. */
  async #store(share: number): Promise<void> {
    const { checkpoints, wire, bugs, onRefused } = this.#options
    const slot = this.#slots.get(share)
    if (slot === undefined) return
    const cut = this.#cut(share)
    if (!bugs.has('stores-unheard')) await heard(wire)
    if (this.#slots.get(share) !== slot) return // it has gone
    const stored = checkpoints.write(share, slot.epoch, slot.revision, cut)
    if (stored === undefined) onRefused(`another owner has stored more of share ${share}`)
    else slot.revision = stored.revision
  }

  #cut(share: number): Cut {
    const records = [...(this.#state.get(share) ?? [])]
    return { records, contained: this.consumer.positions('s', share) }
  }

  /** Reads ahead what the giver has stored. */
  #preload(share: number): void {
    const { checkpoints, bugs } = this.#options
    const { epoch = 0 } = checkpoints.read(share) ?? {}
    if (bugs.has('refuses-a-later-epoch') && epoch > this.#claimed) throw new Error('another owner has it')
  }

  /** What nobody asks for. */
  async #giveUp(share: number): Promise<void> {
    const { consumer, producer } = this
    const epoch = this.#epochs.get(share)!
    this.#epochs.delete(share)
    consumer.suspend('s', [share])
    this.#hand = this.#hand.filter((frame) => frame.partition !== share)
    await producer.accepted()
    await this.#store(share)
    this.#options.onLeft(share, epoch, consumer.release('s', [share]))
    this.#forget(share)
  }

  #forget(share: number): void {
    this.#state.delete(share)
    this.#began.delete(share)
    this.#epochs.delete(share)
    this.#slots.delete(share)
    this.#held.delete(share)
  }

  async #give(share: number, next: NextOwner | undefined): Promise<Given<ShareState>> {
    const { consumer, producer } = this
    const { bugs } = this.#options
    const ahead = bugs.has('gives-ahead') ? this.#hand.filter((frame) => frame.partition === share) : []
    consumer.suspend('s', [share])
    if (!bugs.has('keeps-its-hand')) this.#hand = this.#hand.filter((frame) => frame.partition !== share)
    if (!bugs.has('gives-unaccepted')) await producer.accepted()
    for (const frame of ahead) consumer.done(frame, frame.header.count - frame.skip - frame.finished)
    const cut = this.#cut(share)
    const told = consumer.release('s', [share], bugs.has('tells-nobody') ? undefined : next)
    this.#options.onLeft(share, this.#epochs.get(share)!, told, next)
    const left = bugs.has('tells-nobody') && next !== undefined ? { ...told, next: next.owner } : told
    const base = this.#options.checkpoints.read(share)?.number
    const state = {
      ...cut,
      epoch: this.#slots.get(share)?.epoch ?? 0,
      ...(base === undefined ? {} : { base }),
    }
    this.#forget(share)
    return { left, state }
  }

  #output(share: number, input: Uint8Array): { key: Uint8Array; value: Uint8Array; timeMs: number } {
    const view = new DataView(input.buffer, input.byteOffset)
    const [producer, number] = [view.getUint32(0), view.getUint32(4)]
    const state = this.#state.get(share) ?? new Map<number, number>()
    this.#state.set(share, state)
    const value = Buffer.allocUnsafe(outputBytes) // of a pool: most of a history's time would go into small memories else
    value.writeInt32BE(producer, 0)
    value.writeInt32BE(number, 4)
    value.writeInt32BE(state.get(producer) ?? -1, 8)
    value.writeInt32BE(this.#options.serial, 12)
    value.writeInt32BE(this.#epochs.get(share) ?? 0, 16)
    state.set(producer, number)
    return { key: noKey, value, timeMs: 0 }
  }
}

function originAt(slot: number): string {
  const found = origins.get(slot) ?? originOf('n', 'f', slot)
  origins.set(slot, found)
  return found
}

/** After a reconnect it claims what it owns, and tells nothing again. */
function tellingNothingAnew(wire: Wire): Wire {
  let isBack = false
  return {
    get connected() {
      return wire.connected
    },
    publish: (subject, bytes) => {
      if (!isBack || !subject.includes('.c.credit.')) wire.publish(subject, bytes)
    },
    subscribe: (subject, receive) => wire.subscribe(subject, receive),
    flush: () => wire.flush(),
    onReconnect: (reconnected) =>
      wire.onReconnect(() => {
        isBack = true
        reconnected()
        isBack = false
      }),
  }
}
