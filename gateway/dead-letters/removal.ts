/**
 * Removal: removes dead letters, and frees the room of each message of which all letters are removed.
 *
 *   RM1. A letter is removed by the same kind of mark that claims it for a redrive: one that is being sent is not removed
 *        unless the caller asks for it, and one that is removed is never sent.
 *   RM2. A message is deleted once a mark says that all its letters are removed. If this process is killed in between, the next
 *        removal that comes by deletes it.
 * Design: docs/design/0012-failure-reactions.md
 * @module
 */
import type { Clock } from '../../infra/clock.ts'
import type { RemoveLettersAnswer, RemoveLettersRequest } from '../../sdk/api/index.ts'
import { type Chosen, choose, inChunks } from './choose.ts'
import type { LetterStore } from './letter-store.ts'
import { type Mark, markOf } from './marks.ts'
import { idOf } from './select.ts'

/** Attempts at a mark when other gateways write marks too. */
const markTries = 5

interface Removed {
  readonly letters: number
  readonly bytes: number
}

export async function removeLetters(
  store: LetterStore,
  clock: Clock,
  { dryRun, limit, state, ...choice }: RemoveLettersRequest,
): Promise<RemoveLettersAnswer> {
  const isMeant = meant(state ?? (choice.ids === undefined ? 'waiting' : 'all'))
  // Letters that are removed already are looked at too, for what a killed removal left (RM2).
  const chosen = choose(store, choice, (mark) => mark?.state === 'removed' || isMeant(mark))
  const answer = { matched: 0, removed: 0, freedBytes: 0 }
  let looked = 0
  for await (const chunk of inChunks(chosen, limit)) {
    answer.matched += chunk.reduce((sum, one) => sum + fresh(one, isMeant).length, 0)
    const gone = await Promise.all(
      chunk.map((one) => (dryRun ? wouldRemove(one, isMeant) : remove(store, clock.nowMs(), one, isMeant))),
    )
    for (const { letters, bytes } of gone) {
      if (!dryRun) answer.removed += letters
      answer.freedBytes += bytes
    }
    looked += chunk.reduce((sum, { indexes }) => sum + indexes.length, 0)
    const { message, indexes } = chunk.at(-1)!
    if (looked >= limit)
      return { ...answer, next: idOf({ sequence: message.sequence, index: indexes.at(-1)! }) }
  }
  return answer
}

type IsMeant = (mark: Mark | undefined) => boolean

function meant(state: NonNullable<RemoveLettersRequest['state']>): IsMeant {
  if (state === 'waiting') return (mark) => mark === undefined
  if (state === 'redriven') return (mark) => mark?.state === 'redriven'
  return (mark) => mark?.state !== 'removed'
}

/** Of the chosen letters those that are not removed yet. */
function fresh({ indexes, marks }: Chosen, isMeant: IsMeant): number[] {
  return indexes.filter((index) => isMeant(markOf(marks, index)))
}

/** Whether no letter is left without those. */
function isWhole({ message, marks }: Chosen, indexes: readonly number[]): boolean {
  return message.letters.every(
    (_, index) => markOf(marks, index)?.state === 'removed' || indexes.includes(index),
  )
}

function wouldRemove(chosen: Chosen, isMeant: IsMeant): Removed {
  const indexes = fresh(chosen, isMeant)
  return { letters: indexes.length, bytes: isWhole(chosen, indexes) ? chosen.message.bytes : 0 }
}

async function remove(store: LetterStore, atMs: number, one: Chosen, isMeant: IsMeant): Promise<Removed> {
  const { function: name, sequence, bytes } = one.message
  const mark: Mark = { state: 'removed', atMs }
  let chosen = one
  for (let tries = 0; tries < markTries; tries++) {
    const { marks } = chosen
    const indexes = fresh(chosen, isMeant)
    if (isWhole(chosen, indexes)) {
      const now = marks.all === undefined ? await store.markAll(name, sequence, marks, mark) : marks
      if (now !== undefined) {
        const isFreed = await store.remove(sequence, now)
        return { letters: indexes.length, bytes: isFreed ? bytes : 0 }
      }
    } else {
      if (indexes.length === 0) return { letters: 0, bytes: 0 }
      const more = new Map(indexes.map((index) => [index, mark]))
      if ((await store.mark(name, sequence, marks, more)) !== undefined)
        return { letters: indexes.length, bytes: 0 }
    }
    chosen = { ...chosen, marks: await store.marksOf(name, sequence) }
  }
  return { letters: 0, bytes: 0 }
}
