/**
 * Head: what a message of letters says of them before their bytes, as JSON.
 *
 * Version 3 names errors, what they say, and places once, and has a list for each field of a letter: a row for each letter cost as
 * much again to write, and made messages nearly twice as long. Versions 1 and 2 have rows, and are only read.
 * @module
 */
import { z } from 'zod'
import { CodedError } from '../../sdk/errors.ts'
import type { Letter, LetterError, Letters } from './letter.ts'

/** The version that is written. */
export const headVersion = 3

/** What is wrong with a head may be as long as it is. */
const issuesShown = 3

/** A letter without the bytes of its record. */
interface HeadLetter extends Omit<Letter, 'record'> {
  readonly timeMs: number
  readonly keyBytes: number
  readonly valueBytes: number
}

export interface Head {
  readonly function: string
  readonly version: number
  readonly letters: readonly HeadLetter[]
}

const count = z.int().min(0)
const timerSchema = z.object({ arena: count, instance: count })
const placeSchema = z.object({ stream: z.string(), partition: count, producer: z.string() })

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
type Columns = z.input<typeof columnsSchema>

/** @param cut The length to which texts are cut. */
export function columnsOf({ function: name, version, letters }: Letters, cut: number): Columns {
  const errors = new Distinct<LetterError>(isAlike, keyOf)
  const messages = new Distinct<string>(Object.is, String)
  const places = new Distinct<Letter>(isFromThere, (one) =>
    JSON.stringify([one.partition, one.producer, one.stream]),
  )
  const timers = letters.flatMap(({ timer }, letter) => (timer === undefined ? [] : [{ letter, ...timer }]))
  const columns = {
    error: letters.map(({ error }) => errors.indexOf(error)),
    message: letters.map(({ error }) => messages.indexOf(error.message)),
    place: letters.map((letter) => places.indexOf(letter)),
    sequence: letters.map(({ sequence }) => sequence),
    attempts: letters.map(({ attempts }) => attempts),
    timeMs: letters.map(({ record }) => record.timeMs),
    failedAtMs: letters.map(({ failedAtMs }) => failedAtMs),
    keyBytes: letters.map(({ record }) => record.key.length),
    valueBytes: letters.map(({ record }) => record.value.length),
  }
  return {
    function: name,
    version,
    errors: errors.all.map((error) => entryOf(error, cut)),
    messages: messages.all.map((message) => message.slice(0, cut)),
    places: places.all.map(({ stream, partition, producer }) => ({ stream, partition, producer })),
    letters: columns,
    ...(timers.length > 0 && { timers }),
  }
}

/** Values without those that are the same as another, each known by its index. */
class Distinct<Value> {
  readonly all: Value[] = []
  readonly #isSame: (a: Value, b: Value) => boolean
  readonly #keyOf: (value: Value) => string
  readonly #indexes = new Map<string, number>()
  /** Of the value before: mostly the next one is the same, and is found without its key. */
  #index = 0

  /** @param keyOf The same for those that are the same, and only for them. */
  constructor(isSame: (a: Value, b: Value) => boolean, keyOf: (value: Value) => string) {
    this.#isSame = isSame
    this.#keyOf = keyOf
  }

  indexOf(value: Value): number {
    const last = this.all[this.#index]
    if (last !== undefined && this.#isSame(last, value)) return this.#index
    const key = this.#keyOf(value)
    this.#index = this.#indexes.get(key) ?? this.all.push(value) - 1
    this.#indexes.set(key, this.#index)
    return this.#index
  }
}

function isFromThere(a: Letter, b: Letter): boolean {
  return a.partition === b.partition && a.producer === b.producer && a.stream === b.stream
}

/** Whether errors differ in their messages only. */
function isAlike(a: LetterError, b: LetterError): boolean {
  if (a.name !== b.name || a.at !== b.at) return false
  if (a.message === b.message) return a.stack === b.stack
  const [one, other] = [aroundMessage(a), aroundMessage(b)]
  return one.title === other.title && one.stack === other.stack
}

function keyOf(error: LetterError): string {
  const { title, stack } = aroundMessage(error)
  return JSON.stringify([error.name, error.at, title, stack])
}

/**
 * A stack without its message. It begins with the error's class, mostly, which need not be its `name`: a class that sets that in its
 * constructor is named after the class that it extends, and Node.js adds its codes.
 */
function aroundMessage({ message, stack }: LetterError): { readonly title?: string; readonly stack: string } {
  const at = stack.indexOf(': ') + 2
  if (!stack.startsWith(message, at)) return { stack }
  return { title: stack.slice(0, at), stack: stack.slice(at + message.length) }
}

function entryOf(error: LetterError, cut: number): Columns['errors'][number] {
  const { title, stack } = aroundMessage(error)
  return {
    name: error.name,
    stack: stack.slice(0, cut),
    ...(title !== undefined && { title: title.slice(0, cut) }),
    ...(error.at !== undefined && { at: error.at }),
  }
}

/** @param version Of the message. @throws {CodedError} ERR_LETTER_MALFORMED */
export function readHead(version: number, json: unknown): Head {
  return version === headVersion ? ofColumns(parsed(columnsSchema, json)) : ofRows(parsed(rowsSchema, json))
}

function parsed<Schema extends z.ZodType>(schema: Schema, json: unknown): z.output<Schema> {
  const head = schema.safeParse(json)
  if (!head.success) throw malformed(z.prettifyError({ issues: head.error.issues.slice(0, issuesShown) }))
  return head.data
}

function ofRows({ errors, letters, ...head }: z.output<typeof rowsSchema>): Head {
  return { ...head, letters: letters.map((row) => ({ ...row, error: at(errors, row.error, 'error') })) }
}

function ofColumns({
  errors,
  messages,
  places,
  letters: columns,
  timers = [],
  ...head
}: z.output<typeof columnsSchema>): Head {
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

function at<Value>(list: readonly Value[], index: number, what: string): Value {
  const found = list[index]
  if (found === undefined) throw malformed(`it has no ${what} ${index}`)
  return found
}

export function malformed(what: string): CodedError<'ERR_LETTER_MALFORMED'> {
  return new CodedError('ERR_LETTER_MALFORMED', `Cannot read dead letters: ${what}`)
}
