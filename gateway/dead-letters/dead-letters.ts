/**
 * DeadLetters: shows dead letters in the API, redrives them to their input streams, and removes them.
 *
 *   DL1. Letters go back in the order in which they were given up, each into its own partition.
 *   DL2. A letter is claimed by a mark before it is sent, and marked as redriven afterwards. So it is redriven at
 *        most once, however this process ends; a letter whose sending is uncertain stays `redriving`.
 *   DL3. Nothing is claimed for a stream without room, or for a timer whose state nobody has.
 *   DL4. A timer is set again in its own state: its letter is marked once the owner has confirmed it.
 * Design: docs/design/0012-failure-reactions.md
 * @module
 */
import type { Clock } from '../../infra/clock.ts'
import type { Letter } from '../../infra/dead-letters/index.ts'
import type {
  DeadLetter,
  DeadLetterCounts,
  DeadLetterList,
  DeadLetterListQuery,
  DeadLetterSummary,
  RedriveAnswer,
  RedriveRequest,
  RemoveLettersAnswer,
  RemoveLettersRequest,
} from '../../sdk/api/index.ts'
import { CodedError } from '../../sdk/errors.ts'
import type { CatalogView } from '../catalog/catalog.ts'
import { unknownStream } from '../errors.ts'
import type { Ingest } from '../ingest/ingest.ts'
import { type Chosen, choose, inChunks, unknownLetter } from './choose.ts'
import { asked, type LetterMessage, type LetterStore } from './letter-store.ts'
import { type Mark, type Marks, markOf } from './marks.ts'
import { removeLetters } from './removal.ts'
import { detailOf, idOf, type LetterPlace, placeOf, summaryOf } from './select.ts'
import type { TimerOwner, TimerSetter } from './timer-setter.ts'

/** Attempts at a claim when other gateways write marks too. */
const claimTries = 5
/**
 * An inspection waits this long for the counts. After waiting in vain, later inspections do not ask for
 * `countPauseMs`.
 */
const countWaitMs = 500
const countPauseMs = 5_000

export interface DeadLettersOptions {
  readonly store: LetterStore
  readonly ingest: Pick<Ingest, 'batch' | 'room'>
  readonly view: () => CatalogView
  readonly timers: Pick<TimerSetter, 'ownerOf' | 'set'>
  readonly clock: Clock
}

export class DeadLetters {
  readonly #options: DeadLettersOptions
  #countAgainMs = Number.NEGATIVE_INFINITY

  constructor(options: DeadLettersOptions) {
    this.#options = options
  }

  list({ state, limit, after, ...filter }: DeadLetterListQuery): Promise<DeadLetterList> {
    const wanted = (mark: Mark | undefined): boolean =>
      mark?.state !== 'removed' &&
      (state === 'all' || (state === 'redriven') === (mark?.state === 'redriven'))
    return asked('list dead letters', async () => {
      const letters: DeadLetterSummary[] = []
      for await (const { message, indexes, marks } of choose(
        this.#options.store,
        { ...filter, after },
        wanted,
      )) {
        for (const index of indexes) {
          if (letters.length === limit) return { letters, next: letters.at(-1)!.id }
          letters.push(summaryOf(message, index, message.letters[index]!, markOf(marks, index)))
        }
      }
      return { letters }
    })
  }

  /** @throws {CodedError} ERR_DEAD_LETTER_UNKNOWN */
  async show(id: string): Promise<DeadLetter> {
    const { sequence, index } = placeOf(id)
    return await asked(`show dead letter ${id}`, async () => {
      const message = await this.#options.store.message(sequence)
      const letter = message?.letters[index]
      if (message === undefined || letter === undefined) throw unknownLetter(id)
      const marks = await this.#options.store.marksOf(message.function, sequence)
      return detailOf(message, index, letter, markOf(marks, index))
    })
  }

  /** The counts of one function; undefined if JetStream does not answer soon. */
  counts(functionName: string): Promise<DeadLetterCounts | undefined> {
    return this.#soon(() => this.#count(functionName))
  }

  /** The functions that have letters, removed ones too; undefined if JetStream does not answer soon. */
  functions(): Promise<readonly string[] | undefined> {
    return this.#soon(() => this.#options.store.functions())
  }

  async #soon<T>(ask: () => Promise<T>): Promise<T | undefined> {
    const { clock } = this.#options
    if (clock.monotonicMs() < this.#countAgainMs) return undefined
    const late = Promise.withResolvers<undefined>()
    const cancel = clock.after(countWaitMs, () => late.resolve(undefined))
    const asked = ask().catch(() => undefined)
    const answer = await Promise.race([asked, late.promise]).finally(cancel)
    if (answer === undefined) this.#countAgainMs = clock.monotonicMs() + countPauseMs
    return answer
  }

  async #count(functionName: string): Promise<DeadLetterCounts> {
    const { letters, firstSequence } = await this.#options.store.count(functionName)
    if (letters === 0) return { waiting: 0, redriven: 0 }
    let redriven = 0
    let removed = 0 // beside letters that are not, so they are counted above
    for (const [sequence, { byIndex }] of await this.#options.store.marks(functionName)) {
      if (sequence < firstSequence) continue // its letters have expired
      for (const { state } of byIndex.values()) {
        if (state === 'redriven') redriven++
        if (state === 'removed') removed++
      }
    }
    return { waiting: Math.max(0, letters - redriven - removed), redriven }
  }

  /** Removes letters: at most the first `limit`. `next` in the answer says where to continue. */
  remove(request: RemoveLettersRequest): Promise<RemoveLettersAnswer> {
    const { store, clock } = this.#options
    return asked('remove dead letters', () => removeLetters(store, clock, request))
  }

  /**
   * Sends letters back to their input streams: at most the first `limit`. `next` in the answer says where to
   * continue.
   */
  async redrive(request: RedriveRequest, signal: AbortSignal): Promise<RedriveAnswer> {
    const { dryRun, again, limit, ...choice } = request
    const { store } = this.#options
    const counts = new Map<string, number>()
    let timers = 0
    const answer = (redriven: number, matched: number, next: LetterPlace | undefined): RedriveAnswer => ({
      matched,
      redriven,
      streams: [...counts].map(([stream, records]) => ({ stream, records, readBy: this.#readersOf(stream) })),
      ...(timers > 0 && { timers }),
      ...(next === undefined ? {} : { next: idOf(next) }),
    })
    const wanted = (mark: Mark | undefined): boolean =>
      mark === undefined || (again && mark.state === 'redriving')
    return await asked('redrive dead letters', async () => {
      let matched = 0
      let redriven = 0
      let last: LetterPlace | undefined
      for await (const chosen of inChunks(choose(store, choice, wanted), limit)) {
        for (const { message, indexes } of chosen) {
          for (const index of indexes) {
            const { stream, timer } = message.letters[index]!
            if (timer !== undefined) this.#options.timers.ownerOf(message.function, timer)
            else if (!this.#options.view().streams.has(stream)) throw unknownStream(stream)
          }
        }
        const letters = chosen.flatMap(({ message, indexes }) => indexes.map((i) => message.letters[i]!))
        matched += letters.length
        const gone = dryRun ? letters : await this.#redriveSome(chosen, wanted, redriven, signal)
        if (gone === undefined) return answer(redriven, matched - letters.length, last)
        redriven += dryRun ? 0 : gone.length
        for (const { stream, timer } of gone) {
          if (timer !== undefined) timers++
          else counts.set(stream, (counts.get(stream) ?? 0) + 1)
        }
        const { message, indexes } = chosen.at(-1)!
        last = { sequence: message.sequence, index: indexes.at(-1)! }
        if (matched >= limit) return answer(redriven, matched, last)
      }
      return answer(redriven, matched, undefined)
    })
  }

  /** @returns What was sent; undefined if a stream ran out of room (DL3). */
  async #redriveSome(
    chosen: readonly Chosen[],
    wanted: (mark: Mark | undefined) => boolean,
    before: number,
    signal: AbortSignal,
  ): Promise<readonly Letter[] | undefined> {
    const { ingest, store } = this.#options
    try {
      for (const stream of new Set(chosen.flatMap(({ message }) => message.letters.map((l) => l.stream))))
        if (this.#options.view().streams.has(stream)) await ingest.room(stream, signal)
    } catch (error) {
      if (before > 0 && error instanceof CodedError && error.code === 'ERR_STREAM_FULL') return undefined
      throw error
    }
    const claimed = await Promise.all(chosen.map((each) => this.#claim(each, wanted)))
    const letters: Letter[] = []
    for (const { message, indexes } of claimed) {
      for (const index of indexes) {
        const letter = message.letters[index]!
        letters.push(letter)
        if (letter.timer !== undefined) continue
        const batch = ingest.batch(letter.stream)
        batch.add(letter.record, letter.partition)
        batch.flush()
      }
    }
    await Promise.all(
      claimed.map(async ({ message, indexes, marks }) => {
        const isTimer = (index: number): boolean => message.letters[index]!.timer !== undefined
        const done = (known: Marks, some: readonly number[]): Promise<Marks | undefined> | undefined =>
          some.length === 0
            ? undefined
            : store.mark(message.function, message.sequence, known, this.#marks(some, 'redriven'))
        // The records have been sent, so they are marked before the timers are tried.
        const known = await done(
          marks,
          indexes.filter((index) => !isTimer(index)),
        )
        await this.#setTimers(message, indexes)
        await done(known ?? marks, indexes.filter(isTimer))
      }),
    )
    return letters
  }

  async #setTimers({ function: name, letters }: LetterMessage, indexes: readonly number[]): Promise<void> {
    const { timers } = this.#options
    const byOwner = new Map<string, { readonly owner: TimerOwner; readonly letters: Letter[] }>()
    for (const letter of indexes.map((index) => letters[index]!)) {
      if (letter.timer === undefined) continue
      const owner = timers.ownerOf(name, letter.timer)
      const group = byOwner.get(owner.instance) ?? { owner, letters: [] }
      group.letters.push(letter)
      byOwner.set(owner.instance, group)
    }
    for (const group of byOwner.values()) await timers.set(group.owner, group.letters)
  }

  /** @returns The letters claimed: fewer than chosen if another redrive was faster (LS1). */
  async #claim(chosen: Chosen, wanted: (mark: Mark | undefined) => boolean): Promise<Chosen> {
    const { store } = this.#options
    const { message } = chosen
    let { marks, indexes } = chosen
    for (let tries = 0; tries < claimTries; tries++) {
      indexes = indexes.filter((index) => wanted(markOf(marks, index)))
      if (indexes.length === 0) return { message, indexes, marks }
      const more = this.#marks(indexes, 'redriving')
      const now = await store.mark(message.function, message.sequence, marks, more)
      if (now !== undefined) return { message, indexes, marks: now }
      marks = await store.marksOf(message.function, message.sequence)
    }
    return { message, indexes: [], marks }
  }

  #marks(indexes: readonly number[], state: Mark['state']): Map<number, Mark> {
    const mark = { state, atMs: this.#options.clock.nowMs() }
    return new Map(indexes.map((index) => [index, mark]))
  }

  #readersOf(stream: string): string[] {
    return [...(this.#options.view().streams.get(stream)?.consumers ?? [])]
  }
}
