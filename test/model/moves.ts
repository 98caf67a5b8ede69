/**
 * Moves: the two sides of a handover of shares between two instances of a function (docs/design/0011-handover.md).
 *
 *   taker   awaits ──ask──► owns          giver   owns ──first ask──► gives ──► gave
 *
 *  M1. A share is given once, to the taker and epoch that the assignment names; who asks again gets the same answer.
 *  M2. A taker owns a share only with the giver's answer, or when its assignment says that there is no giver any more.
 * @module
 */
import type { Heritage } from '../../infra/bus/index.ts'
import type { Clock } from '../../infra/clock.ts'

export interface MoveAsk {
  readonly schema: 1
  readonly function: string
  readonly share: number
  /** The taker's, of the assignment that promised the share. */
  readonly epoch: number
}

export type MoveAnswer =
  | { readonly ok: true; readonly left: Heritage }
  /** NOT_YET: ask again. GONE: it is not here, and the asker is the only one to whom it is promised. */
  | { readonly ok: false; readonly code: 'ERR_MOVE_NOT_YET' | 'ERR_MOVE_GONE' }

/** What an assignment tells the giver. */
export interface Giving {
  readonly share: number
  /** The taker's. */
  readonly epoch: number
}

/** What it tells the taker. */
export interface Awaited {
  readonly share: number
  readonly epoch: number
  /** The giver's task. */
  readonly from: string
}

const askAgainMs = 20

export interface GiverOptions {
  readonly owns: (share: number) => boolean
  /** Stops the share and says where. */
  readonly give: (share: number) => Promise<Heritage>
  /** Called when a share has been given up. */
  readonly onGave: () => void
}

interface Given {
  readonly epoch: number
  readonly left: Promise<Heritage>
  done: boolean
}

export class Giver {
  readonly #options: GiverOptions
  #wanted: readonly Giving[] = []
  readonly #given = new Map<number, Given>()

  constructor(options: GiverOptions) {
    this.#options = options
  }

  /** What a new assignment wants to be given; what it does not name is forgotten, once it is done. */
  want(giving: readonly Giving[]): void {
    this.#wanted = giving
    for (const [share, { done }] of this.#given)
      if (done && !giving.some((wanted) => wanted.share === share)) this.#given.delete(share)
  }

  async answer({ share, epoch }: MoveAsk): Promise<MoveAnswer> {
    if (!this.#wanted.some((giving) => giving.share === share && giving.epoch === epoch)) return notYet
    const { owns, give, onGave } = this.#options
    const given = this.#given.get(share)
    if (given?.epoch === epoch) return { ok: true, left: await given.left }
    // It may be on its way to a taker that has ended: what that one did with it is not known here.
    if (given !== undefined) await given.left
    if (!owns(share)) return { ok: false, code: 'ERR_MOVE_GONE' }
    const begun: Given = { epoch, left: give(share), done: false }
    this.#given.set(share, begun)
    const left = await begun.left
    begun.done = true
    onGave()
    return { ok: true, left }
  }
}

const notYet: MoveAnswer = { ok: false, code: 'ERR_MOVE_NOT_YET' }

export interface TakerOptions {
  readonly function: string
  readonly clock: Clock
  /** Sends an ask to a task. @throws if no answer comes. */
  readonly ask: (task: string, ask: MoveAsk) => Promise<MoveAnswer>
  /** Owns the share from now on, with what its giver left if that is known. */
  readonly take: (awaited: Awaited, left: Heritage | undefined) => Promise<void> | void
  /** Called when a share has been taken. */
  readonly onTook: () => void
}

export class Taker {
  readonly #options: TakerOptions
  readonly #awaited = new Map<number, Awaited>()

  constructor(options: TakerOptions) {
    this.#options = options
  }

  /** What a new assignment promises; what it does not name any more is not asked for any more. */
  want(awaited: readonly Awaited[]): void {
    for (const share of [...this.#awaited.keys()])
      if (!awaited.some((wanted) => wanted.share === share)) this.#awaited.delete(share)
    for (const wanted of awaited) {
      const before = this.#awaited.get(wanted.share)
      if (before?.epoch === wanted.epoch && before.from === wanted.from) continue
      this.#awaited.set(wanted.share, wanted)
      void this.#ask(wanted)
    }
  }

  get waiting(): number {
    return this.#awaited.size
  }

  async #ask(wanted: Awaited): Promise<void> {
    const { clock, ask, take, onTook, function: name } = this.#options
    const { share, epoch, from } = wanted
    const isWanted = (): boolean => this.#awaited.get(share) === wanted
    while (isWanted()) {
      const answer = await ask(from, { schema: 1, function: name, share, epoch }).catch(() => notYet)
      if (!isWanted()) return
      if (answer.ok || answer.code === 'ERR_MOVE_GONE') {
        await take(wanted, answer.ok ? answer.left : undefined)
        if (isWanted()) this.#awaited.delete(share)
        onTook()
        return
      }
      await new Promise<void>((resolve) => void clock.after(askAgainMs, resolve))
    }
  }
}
