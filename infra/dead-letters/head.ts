/**
 * Head: what the letters of a message have in common, as JSON in front of them: errors and places, each once.
 * @module
 */
import * as z from 'zod'
import { CodedError } from '../../sdk/errors.ts'
import type { LetterError } from './letter.ts'

/** What is wrong with a head may be as long as it is. */
const issuesShown = 3

export const count = z.int().min(0)
export const timerSchema = z.object({ arena: count, instance: count })
export const placeSchema = z.object({ stream: z.string(), partition: count, producer: z.string() })

const headSchema = z.object({
  function: z.string(),
  version: count,
  /** How many follow. */
  letters: count,
  /** Without their messages, which vary with the record: a stack that has one is `title`, message, `stack`. */
  errors: z.array(
    z.object({
      name: z.string(),
      stack: z.string(),
      title: z.string().exactOptional(),
      at: z.string().exactOptional(),
    }),
  ),
  places: z.array(placeSchema),
  /** Of those letters that have one. */
  timers: z.array(timerSchema.extend({ letter: count })).exactOptional(),
})
export type Head = z.input<typeof headSchema>

/** @throws {CodedError} ERR_LETTER_MALFORMED */
export function readHead(json: unknown): Head {
  return parsed(headSchema, json)
}

/** Whether errors differ in their messages only. */
export function isAlike(a: LetterError, b: LetterError): boolean {
  if (a.name !== b.name || a.at !== b.at) return false
  if (a.stack === '' || a.message === b.message) return a.stack === b.stack
  const [one, other] = [aroundMessage(a), aroundMessage(b)]
  return one.title === other.title && one.stack === other.stack
}

export function keyOf(error: LetterError): string {
  const { title, stack } = aroundMessage(error)
  return JSON.stringify([error.name, error.at, title, stack])
}

/**
 * A stack without its message. It begins with the error's class, mostly, which need not be its `name`: a class that sets that in its
 * constructor is named after the class that it extends, and Node.js adds its codes.
 */
export function aroundMessage({ message, stack }: LetterError): {
  readonly title?: string
  readonly stack: string
} {
  const at = stack.indexOf(': ') + 2
  if (stack === '' || !stack.startsWith(message, at)) return { stack }
  return { title: stack.slice(0, at), stack: stack.slice(at + message.length) }
}

/** The error of an entry, with what it says. */
export function errorOf({ title, stack, ...known }: Head['errors'][number], message: string): LetterError {
  return { ...known, message, stack: title === undefined ? stack : title + message + stack }
}

export function parsed<Schema extends z.ZodType>(schema: Schema, json: unknown): z.output<Schema> {
  const head = schema.safeParse(json)
  if (!head.success) throw malformed(z.prettifyError({ issues: head.error.issues.slice(0, issuesShown) }))
  return head.data
}

export function at<Value>(list: readonly Value[], index: number, what: string): Value {
  const found = list[index]
  if (found === undefined) throw malformed(`it has no ${what} ${index}`)
  return found
}

export function malformed(what: string): CodedError<'ERR_LETTER_MALFORMED'> {
  return new CodedError('ERR_LETTER_MALFORMED', `Cannot read dead letters: ${what}`)
}
