/**
 * Moves: the two sides of a handover of shares between two instances of a function (docs/design/0011-handover.md).
 *
 *   taker   awaits ──ask──► owns
 *
 *   giver   owns ──first ask──► preparing ──► prepared ──ready ask──► giving ──► gave
 *                                   ▲                                   │
 *                                   └────────── too much has changed ───┘
 *
 *  M1. A share is given once, to the taker and epoch that the assignment names; who asks again gets the same answer.
 *  M2. A taker owns a share only with the giver's answer, or when its assignment says that there is no giver any more.
 *  M3. Shares come from a giver one after the other: while one is on its way, and silent, the others are at work.
 *  M4. A share that is wanted by nobody any more is kept, whatever was under way for it.
 *  M5. A move that fails while the share is still here begins anew with the next ask; one that fails later leaves the share
 *      nobody's: its giver is ending, and its end will be seen.
 * @module
 */
import type { HandoverPositions, NextOwner } from '../../infra/bus/index.ts'
import { type Clock, sleep } from '../../infra/clock.ts'
import type { Awaited, Giving } from '../../infra/control/messages/assignment.ts'
import { assertNever } from '../../sdk/errors.ts'

export interface MoveAsk {
  readonly schema: 1
  /** The giver. */
  readonly instance: string
  readonly share: number
  /** The taker's, of the assignment that promised the share. */
  readonly epoch: number
  /** It has read what was prepared. */
  readonly ready: boolean
  /** As whom it will claim; producers may be told of it before. */
  readonly owner?: string
}

/** What the giver leaves; `state` is whatever goes with the share. */
export interface Given<State> {
  /** Undefined: it had given it already, to one that is gone; how far that one came is not known here. */
  readonly left: HandoverPositions | undefined
  readonly state: State
}

export type MoveAnswer<State> =
  | ({ readonly ok: true } & Given<State>)
  /**
   * NOT_YET: ask again. PREPARED: read what is stored, and ask again. GONE: it never was here, and the asker is the only
   * one to whom it is promised.
   */
  | { readonly ok: false; readonly code: MoveRefusal }
export type MoveRefusal = 'ERR_MOVE_NOT_YET' | 'ERR_MOVE_PREPARED' | 'ERR_MOVE_GONE'

const askAgainMs = 20
/** What is stored is read again after twice as long each time, up to this: a store in trouble is not asked fifty times a second. */
const readAgainMaxMs = 2_000
/** How long an ask is held: the taker must learn soon that an answer was lost. */
const answerWaitMs = 500
/** So often what has changed since the last preparation may be too much for an answer; then it is stored in the gap. */
const roundsMax = 4

export interface GiverOptions<State> {
  readonly clock: Clock
  readonly owns: (share: number) => boolean
  /** Stores what there is of the share, while it is at work. */
  readonly prepare: (share: number) => Promise<void>
  /**
   * Stops the share and says where.
   * @param next Who will have it.
   * @returns Undefined: too much has changed since it was prepared; not if it is `last`.
   */
  readonly give: (
    share: number,
    last: boolean,
    next: NextOwner | undefined,
  ) => Promise<Given<State> | undefined>
  /** A share that was prepared is not given after all. */
  readonly keep: (share: number) => void
}

interface Move<State> {
  readonly epoch: number
  /** So often too much had changed since it was prepared. */
  rounds: number
  step: Step<State>
}

type Step<State> =
  | { readonly kind: 'preparing'; readonly done: Promise<void> }
  | { readonly kind: 'prepared' }
  | { readonly kind: 'giving'; readonly given: Promise<Given<State> | undefined> }
  | { readonly kind: 'gave'; readonly given: Given<State> }

export class Giver<State> {
  readonly #options: GiverOptions<State>
  #wanted: readonly Giving[] = []
  readonly #moves = new Map<number, Move<State>>()

  constructor(options: GiverOptions<State>) {
    this.#options = options
  }

  /**
   * What a new assignment wants to be given; what it does not name is forgotten, unless it is being given, or is to come back.
   * @param own Shares that the assignment leaves or gives to this instance.
   */
  want(giving: readonly Giving[], own: ReadonlySet<number> = new Set()): void {
    this.#wanted = giving
    for (const [share, { epoch, step }] of this.#moves)
      switch (step.kind) {
        case 'preparing':
        case 'prepared':
          if (!this.#isWanted(share, epoch)) this.#keep(share)
          break
        case 'giving':
          break // how it ends is not known yet
        case 'gave':
          if (!own.has(share) && !giving.some((wanted) => wanted.share === share)) this.#moves.delete(share)
          break
        default:
          assertNever(step)
      }
  }

  /** A share that was given is ours again: what went with it, in case nobody has taken it. */
  async takeBack(share: number): Promise<State | undefined> {
    const move = this.#moves.get(share)
    if (move === undefined || isHere(move.step)) return undefined
    const given = await outcome(move.step)
    if (this.#moves.get(share) === move) this.#moves.delete(share)
    return given?.state
  }

  /** Resolves when nothing is being given any more. @param of Which shares; default: all. */
  async settled(of: (share: number) => boolean = () => true): Promise<void> {
    await Promise.all([...this.#moves].map(([share, { step }]) => of(share) && outcome(step)))
  }

  async answer(ask: MoveAsk): Promise<MoveAnswer<State>> {
    const { share, epoch } = ask
    if (!this.#isWanted(share, epoch)) return refused('ERR_MOVE_NOT_YET')
    const before = this.#moves.get(share)
    if (before !== undefined && before.epoch !== epoch) {
      // It may be on its way to a taker that has ended: what that one did with it is not known here.
      const given = await outcome(before.step)
      if (this.#moves.get(share) !== before) return refused('ERR_MOVE_NOT_YET')
      this.#moves.delete(share)
      if (given === undefined) return await this.answer(ask)
      const again = { left: undefined, state: given.state }
      this.#moves.set(share, { ...before, epoch, step: { kind: 'gave', given: again } })
      return { ok: true, ...again }
    }
    if (before === undefined && !this.#options.owns(share)) return refused('ERR_MOVE_GONE')
    const move = before ?? this.#begin(share, epoch)
    return await this.#inTime(this.#advance(move, ask).catch(() => this.#failed(share, move)))
  }

  /** M5. */
  #failed(share: number, move: Move<State>): MoveAnswer<State> {
    if (this.#moves.get(share) === move && this.#options.owns(share)) this.#keep(share)
    return refused('ERR_MOVE_NOT_YET')
  }

  #isWanted(share: number, epoch: number): boolean {
    return this.#wanted.some((giving) => giving.share === share && giving.epoch === epoch)
  }

  #begin(share: number, epoch: number): Move<State> {
    const move: Move<State> = { epoch, rounds: 0, step: this.#preparing(share) }
    this.#moves.set(share, move)
    return move
  }

  #preparing(share: number): Step<State> {
    return { kind: 'preparing', done: this.#options.prepare(share) }
  }

  async #advance(move: Move<State>, ask: MoveAsk): Promise<MoveAnswer<State>> {
    const { step } = move
    const { share, epoch, ready, owner } = ask
    switch (step.kind) {
      case 'preparing':
        return await this.#prepared(share, move, step.done)
      case 'prepared': {
        if (!ready) return refused('ERR_MOVE_PREPARED')
        const next = owner === undefined ? undefined : { owner, epoch }
        const given = this.#options.give(share, move.rounds >= roundsMax, next)
        move.step = { kind: 'giving', given }
        return await this.#gave(move, ask, given)
      }
      case 'giving':
        return ready ? await this.#gave(move, ask, step.given) : refused('ERR_MOVE_PREPARED')
      case 'gave':
        return { ok: true, ...step.given }
      default:
        return assertNever(step)
    }
  }

  async #prepared(share: number, move: Move<State>, done: Promise<void>): Promise<MoveAnswer<State>> {
    await done
    if (move.step.kind === 'preparing') move.step = { kind: 'prepared' }
    if (!this.#moves.has(share)) this.#options.keep(share) // M4
    return refused('ERR_MOVE_PREPARED')
  }

  async #gave(
    move: Move<State>,
    ask: MoveAsk,
    giving: Promise<Given<State> | undefined>,
  ): Promise<MoveAnswer<State>> {
    const { share } = ask
    const given = await giving
    if (given !== undefined) {
      move.step = { kind: 'gave', given }
      return { ok: true, ...given }
    }
    if (this.#moves.get(share) !== move) return refused('ERR_MOVE_NOT_YET')
    if (!this.#isWanted(share, move.epoch)) {
      this.#keep(share)
      return refused('ERR_MOVE_NOT_YET')
    }
    if (move.step.kind === 'giving') {
      move.rounds += 1
      move.step = this.#preparing(share)
    }
    return await this.#advance(move, { ...ask, ready: false })
  }

  /** M4. */
  #keep(share: number): void {
    this.#moves.delete(share)
    this.#options.keep(share)
  }

  #inTime(answer: Promise<MoveAnswer<State>>): Promise<MoveAnswer<State>> {
    const { promise: late, resolve } = Promise.withResolvers<MoveAnswer<State>>()
    const cancel = this.#options.clock.after(answerWaitMs, () => resolve(refused('ERR_MOVE_NOT_YET')))
    return Promise.race([answer, late]).finally(cancel)
  }
}

export interface TakerOptions<State> {
  readonly clock: Clock
  /** As whom it claims. */
  readonly owner: string
  /** Sends an ask to a task. @throws if no answer comes. */
  readonly ask: (task: string, ask: MoveAsk) => Promise<MoveAnswer<State>>
  /** Reads what is stored, before it is given. @throws where it has to be read again */
  readonly readAhead: (share: number) => Promise<void>
  /** Owns the share from now on, with what its giver has left; undefined: it has no giver. */
  readonly take: (awaited: Awaited, given: Given<State> | undefined) => Promise<void> | void
  /** Called when a share has been taken. */
  readonly onTook: () => void
}

export class Taker<State> {
  readonly #options: TakerOptions<State>
  readonly #awaited = new Map<number, Awaited>()
  /** Being taken: their givers are done with them. */
  readonly #taking = new Set<number>()
  /** By giver: settles when the last of those that wait for their turn has had it. */
  readonly #turns = new Map<string, Promise<void>>()

  constructor(options: TakerOptions<State>) {
    this.#options = options
  }

  /** What a new assignment promises; what it does not name any more is not asked for any more. */
  want(awaited: readonly Awaited[]): void {
    for (const share of [...this.#awaited.keys()])
      if (!awaited.some((wanted) => wanted.share === share)) this.#awaited.delete(share)
    for (const wanted of awaited) {
      const before = this.#awaited.get(wanted.share)
      if (before?.epoch === wanted.epoch && before.task === wanted.task) continue
      this.#awaited.set(wanted.share, wanted)
      void this.#ask(wanted)
    }
  }

  /** Shares that were promised and not taken yet. */
  get awaited(): number[] {
    return [...new Set([...this.#awaited.keys(), ...this.#taking])]
  }

  async #ask(wanted: Awaited): Promise<void> {
    const { clock, owner, ask, readAhead } = this.#options
    const { share, epoch, task, instance } = wanted
    const isWanted = (): boolean => this.#awaited.get(share) === wanted
    let ready = false
    let pauseMs = askAgainMs
    let endTurn: (() => void) | undefined
    try {
      while (isWanted()) {
        const asked: MoveAsk = { schema: 1, instance, share, epoch, ready, owner }
        const answer = await ask(task, asked).catch(() => refused('ERR_MOVE_NOT_YET'))
        if (!isWanted()) return
        if (answer.ok) return await this.#take(wanted, answer)
        if (answer.code === 'ERR_MOVE_GONE') return await this.#take(wanted, undefined)
        if (answer.code === 'ERR_MOVE_PREPARED') {
          ready = await readAhead(share).then(
            () => true,
            () => false,
          )
          if (!isWanted()) return
          pauseMs = ready ? askAgainMs : Math.min(2 * pauseMs, readAgainMaxMs)
          if (ready) endTurn ??= await this.#turn(task)
          if (ready) continue
        }
        await sleep(clock, pauseMs)
      }
    } finally {
      endTurn?.()
    }
  }

  /** Waits for a turn with a giver (M3). @returns Ends it. */
  async #turn(task: string): Promise<() => void> {
    const before = this.#turns.get(task)
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#turns.set(task, promise)
    await before
    return () => {
      resolve()
      if (this.#turns.get(task) === promise) this.#turns.delete(task)
    }
  }

  async #take(wanted: Awaited, given: Given<State> | undefined): Promise<void> {
    const { share } = wanted
    const { take, onTook } = this.#options
    this.#taking.add(share)
    await Promise.resolve(take(wanted, given)).finally(() => {
      if (this.#awaited.get(share) === wanted) this.#awaited.delete(share)
      this.#taking.delete(share)
    })
    onTook()
  }
}

function refused(code: MoveRefusal): { readonly ok: false; readonly code: MoveRefusal } {
  return { ok: false, code }
}

/** It has not left its giver. */
function isHere<State>({ kind }: Step<State>): boolean {
  return kind === 'preparing' || kind === 'prepared'
}

/** What was given, as soon as that is known; undefined if nothing was. */
async function outcome<State>(step: Step<State>): Promise<Given<State> | undefined> {
  if (step.kind === 'giving') return await step.given.catch(() => undefined)
  return step.kind === 'gave' ? step.given : undefined
}
