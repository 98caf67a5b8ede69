/**
 * FormerHeads: heads of messages that earlier builds wrote, as JSON, in front of the bytes of all keys and values. They are only read.
 *
 * Versions 1 and 2 have a row for each letter (1 knows of no timers). Version 3 names errors, what they say, and places once, and has
 * a list for each field of a letter.
 * @module
 */
import * as z from 'zod'
import { at, count, malformed, parsed, placeSchema, timerSchema } from './head.ts'
import type { Letter } from './letter.ts'

/** A letter without the bytes of its record. */
interface HeadLetter extends Omit<Letter, 'record'> {
  readonly timeMs: number
  readonly keyBytes: number
  readonly valueBytes: number
}

export interface FormerHead {
  readonly function: string
  readonly version: number
  readonly letters: readonly HeadLetter[]
}

const rowsSchema = z.object({
  function: z.string(),
  version: count,
  errors: z.array(
    z.object({ name: z.string(), message: z.string(), stack: z.string(), at: z.string().optional() }),
  ),
  letters: z.array(
    placeSchema.extend({
      error: count,
      sequence: count,
      attempts: count,
      timeMs: z.int(),
      failedAtMs: z.number(),
      keyBytes: count,
      valueBytes: count,
      timer: timerSchema.exactOptional(),
    }),
  ),
})

const columnsSchema = z.object({
  function: z.string(),
  version: count,
  /** Without their messages, which vary with the record: a stack that has one is `title`, message, `stack`. */
  errors: z.array(
    z.object({
      name: z.string(),
      stack: z.string(),
      title: z.string().exactOptional(),
      at: z.string().exactOptional(),
    }),
  ),
  messages: z.array(z.string()),
  places: z.array(placeSchema),
  letters: z.object({
    error: z.array(count),
    message: z.array(count),
    place: z.array(count),
    sequence: z.array(count),
    attempts: z.array(count),
    timeMs: z.array(z.int()),
    failedAtMs: z.array(z.number()),
    keyBytes: z.array(count),
    valueBytes: z.array(count),
  }),
  /** Of those letters that have one. */
  timers: z.array(timerSchema.extend({ letter: count })).exactOptional(),
})

/** @param version Of the message, 1 to 3. @throws {CodedError} ERR_LETTER_MALFORMED */
export function readFormerHead(version: number, json: unknown): FormerHead {
  return version === 3 ? ofColumns(parsed(columnsSchema, json)) : ofRows(parsed(rowsSchema, json))
}

function ofRows({ errors, letters, ...head }: z.output<typeof rowsSchema>): FormerHead {
  return { ...head, letters: letters.map((row) => ({ ...row, error: at(errors, row.error, 'error') })) }
}

function ofColumns({
  errors,
  messages,
  places,
  letters: columns,
  timers = [],
  ...head
}: z.output<typeof columnsSchema>): FormerHead {
  const { error, message, place, ...others } = columns
  const lengths = new Set(Object.values(columns).map(({ length }) => length))
  if (lengths.size > 1) throw malformed(`it has lists of ${[...lengths].join(' and ')} letters`)
  const timerOf = new Map(timers.map(({ letter, ...timer }) => [letter, timer]))
  const letters = message.map((said, index): HeadLetter => {
    const text = at(messages, said, 'message')
    const { stack, title, ...known } = at(errors, error[index]!, 'error')
    const timer = timerOf.get(index)
    return {
      ...at(places, place[index]!, 'place'),
      error: { ...known, message: text, stack: title === undefined ? stack : title + text + stack },
      sequence: others.sequence[index]!,
      attempts: others.attempts[index]!,
      timeMs: others.timeMs[index]!,
      failedAtMs: others.failedAtMs[index]!,
      keyBytes: others.keyBytes[index]!,
      valueBytes: others.valueBytes[index]!,
      ...(timer && { timer }),
    }
  })
  return { ...head, letters }
}
