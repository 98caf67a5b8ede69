/**
 * Choose: the letters that a request means, oldest first, message by message.
 * @module
 */
import type { DeadLetterFilter } from '../../sdk/api/index.ts'
import type { CodedError } from '../../sdk/errors.ts'
import { refuse } from '../errors.ts'
import type { LetterMessage, LetterStore } from './letter-store.ts'
import { type Mark, type Marks, markOf, noMarks } from './marks.ts'
import { idOf, isBehind, matches, placeOf } from './select.ts'

/** A message, the chosen letters in it, and the marks read with it. */
export interface Chosen {
  readonly message: LetterMessage
  readonly indexes: readonly number[]
  readonly marks: Marks
}

export interface Choice extends DeadLetterFilter {
  /** Behind the letter of this id. */
  readonly after?: string | undefined
  /** Only the letters of these ids. */
  readonly ids?: readonly string[] | undefined
}

/**
 * @param wanted Whether a letter with this mark is meant.
 * @throws {CodedError} ERR_DEAD_LETTER_UNKNOWN, ERR_REQUEST_INVALID
 */
export async function* choose(
  store: LetterStore,
  { after, ids, ...filter }: Choice,
  wanted: (mark: Mark | undefined) => boolean,
): AsyncGenerator<Chosen> {
  const behind = after === undefined ? undefined : placeOf(after)
  const places = ids === undefined ? undefined : new Set(ids.map((id) => idOf(placeOf(id))))
  const from = behind?.sequence ?? 1
  const marks = await store.marks(filter.function)
  const messages =
    ids === undefined ? store.messages(filter.function, from) : messagesOf(store, ids, from, filter.function)
  for await (const message of messages) {
    const found = marks.get(message.sequence) ?? noMarks
    const indexes: number[] = []
    for (const [index, letter] of message.letters.entries()) {
      const place = { sequence: message.sequence, index }
      if (!isBehind(place, behind) || places?.has(idOf(place)) === false) continue
      if (wanted(markOf(found, index)) && matches(filter, message, letter)) indexes.push(index)
    }
    if (indexes.length > 0) yield { message, indexes, marks: found }
  }
}

async function* messagesOf(
  store: LetterStore,
  ids: readonly string[],
  from: number,
  functionName: string | undefined,
): AsyncGenerator<LetterMessage> {
  const indexes = new Map<number, number[]>()
  for (const { sequence, index } of ids.map(placeOf))
    indexes.set(sequence, [...(indexes.get(sequence) ?? []), index])
  for (const [sequence, wanted] of [...indexes].sort(([a], [b]) => a - b)) {
    if (sequence < from) continue
    const message = await store.message(sequence)
    const missing = wanted.find((index) => message?.letters[index] === undefined)
    if (message === undefined || missing !== undefined)
      throw unknownLetter(idOf({ sequence, index: missing ?? wanted[0]! }))
    if (functionName !== undefined && message.function !== functionName) {
      const id = idOf({ sequence, index: wanted[0]! })
      const text = `There is no dead letter ${id} of '${functionName}': it is one of '${message.function}'.`
      throw refuse('ERR_DEAD_LETTER_UNKNOWN', text)
    }
    yield message
  }
}

/** Messages handled together; their letters are held in memory. */
const messagesAtOnce = 8

/** Groups messages into chunks, with no letter beyond `limit`. */
export async function* inChunks(source: AsyncGenerator<Chosen>, limit: number): AsyncGenerator<Chosen[]> {
  let chunk: Chosen[] = []
  let left = limit
  for await (const chosen of source) {
    const indexes = chosen.indexes.slice(0, left)
    left -= indexes.length
    chunk.push({ ...chosen, indexes })
    if (chunk.length === messagesAtOnce || left === 0) {
      yield chunk
      chunk = []
    }
    if (left === 0) return
  }
  if (chunk.length > 0) yield chunk
}

export function unknownLetter(id: string): CodedError {
  return refuse(
    'ERR_DEAD_LETTER_UNKNOWN',
    `There is no dead letter ${id}: it never was, its time has passed, or it was removed. \`concord dlq ls\` lists those there are.`,
  )
}
