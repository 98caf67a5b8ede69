/**
 * Head: what a message of letters says of them before their bytes, as JSON.
 *
 * Version 3 names errors and places once, and has a list for each field of a letter: a row for each letter cost as much again to
 * write, and made messages nearly twice as long. Versions 1 and 2 have rows, and are only read.
 * @module
 */
import { z } from 'zod'
import { CodedError } from '../../sdk/errors.ts'
import type { Letter, LetterError, Letters, LetterTimer } from './letter.ts'

/** The version that is written. */
export const headVersion = 3

/** A letter without its bytes. */
export interface HeadLetter {
  readonly stream: string
  readonly partition: number
  readonly producer: string
  readonly sequence: number
  readonly error: LetterError
  readonly timer?: LetterTimer
  readonly attempts: number
  readonly timeMs: number
  readonly failedAtMs: number
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
  /** Without their messages, which vary with the record. `stack`: if `goesOn`, it lacks the `name: message` that it begins with. */
  errors: z.array(
    z.object({
      name: z.string(),
      stack: z.string(),
      goesOn: z.boolean().exactOptional(),
      at: z.string().exactOptional(),
    }),
  ),
  places: z.array(placeSchema),
  letters: z.object({
    error: z.array(count),
    message: z.array(z.string()),
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
  const errors = new Distinct<LetterError>(isAlike)
  const places = new Distinct<Letter>(isFromThere)
  const timers = letters.flatMap(({ timer }, letter) => (timer === undefined ? [] : [{ letter, ...timer }]))
  const columns = {
    error: letters.map(({ error }) => errors.indexOf(error)),
    message: letters.map(({ error }) => error.message.slice(0, cut)),
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
    places: places.all.map(({ stream, partition, producer }) => ({ stream, partition, producer })),
    letters: columns,
    ...(timers.length > 0 && { timers }),
  }
}

/** Values without those that are the same as another, each known by its index. */
class Distinct<Value> {
  readonly all: Value[] = []
  readonly #isSame: (a: Value, b: Value) => boolean
  /** Of the value before: mostly the next one is the same. */
  #index = 0

  constructor(isSame: (a: Value, b: Value) => boolean) {
    this.#isSame = isSame
  }

  indexOf(value: Value): number {
    const last = this.all[this.#index]
    if (last !== undefined && this.#isSame(last, value)) return this.#index
    const found = this.all.findIndex((one) => this.#isSame(one, value))
    this.#index = found < 0 ? this.all.push(value) - 1 : found
    return this.#index
  }
}

function isFromThere(a: Letter, b: Letter): boolean {
  return a.partition === b.partition && a.producer === b.producer && a.stream === b.stream
}

/** Whether errors differ in their messages only. */
function isAlike(a: LetterError, b: LetterError): boolean {
  if (a.name !== b.name || a.at !== b.at) return false
  if (a.stack === '' || b.stack === '') return a.stack === b.stack
  const frames = framesOf(a)
  return frames === framesOf(b) && (frames !== undefined || a.stack === b.stack)
}

/** What follows the message in a stack that begins as V8's do; else undefined. */
function framesOf({ name, message, stack }: LetterError): string | undefined {
  const begin = `${name}: ${message}`
  return stack.startsWith(begin) ? stack.slice(begin.length) : undefined
}

function entryOf(error: LetterError, cut: number): Columns['errors'][number] {
  const { name, stack, at } = error
  const frames = framesOf(error)
  return {
    name,
    stack: (frames ?? stack).slice(0, cut),
    ...(frames !== undefined && { goesOn: true }),
    ...(at !== undefined && { at }),
  }
}

/** @param version Of the message. @throws {CodedError} ERR_LETTER_MALFORMED */
export function readHead(version: number, json: unknown): Head {
  return version === headVersion ? ofColumns(parsed(columnsSchema, json)) : ofRows(parsed(rowsSchema, json))
}

function parsed<Schema extends z.ZodType>(schema: Schema, json: unknown): z.output<Schema> {
  const head = schema.safeParse(json)
  if (!head.success) throw malformed(z.prettifyError(head.error))
  return head.data
}

function ofRows({ errors, letters, ...head }: z.output<typeof rowsSchema>): Head {
  return { ...head, letters: letters.map((row) => ({ ...row, error: at(errors, row.error, 'error') })) }
}

function ofColumns({
  errors,
  places,
  letters: columns,
  timers = [],
  ...head
}: z.output<typeof columnsSchema>): Head {
  const { error, message, place, ...others } = columns
  const lengths = new Set(Object.values(columns).map(({ length }) => length))
  if (lengths.size > 1) throw malformed(`it has lists of ${[...lengths].join(' and ')} letters`)
  const timerOf = new Map(timers.map(({ letter, ...timer }) => [letter, timer]))
  const letters = message.map((text, index): HeadLetter => {
    const { stack, goesOn, ...known } = at(errors, error[index]!, 'error')
    const timer = timerOf.get(index)
    return {
      ...at(places, place[index]!, 'place'),
      error: { ...known, message: text, stack: goesOn === true ? `${known.name}: ${text}${stack}` : stack },
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
