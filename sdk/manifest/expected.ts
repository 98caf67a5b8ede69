/**
 * Expected: says in words what is wrong with a value that a schema refused: where it is, what was expected, and what
 * was found.
 * @module
 */
import type { z } from 'zod'
import { nearest } from '../nearest.ts'
import { type KnownKeys, keysOf } from './known-keys.ts'

type Issue = z.core.$ZodIssue

export interface Wrong {
  readonly path: readonly PropertyKey[]
  /** `expected a number of at least 0, found -1`. */
  readonly text: string
}

const foundCharsMax = 40
const typeNames: Readonly<Record<string, string>> = {
  int: 'a whole number',
  number: 'a number',
  string: 'text in quotes',
  boolean: 'true or false',
  object: 'an object {…}',
  record: 'an object {…}',
  array: 'a list […]',
}
const units: Readonly<Record<string, string>> = { string: ' characters', array: ' entries' }

/**
 * For a value that may have several forms: what is wrong with the form that it resembles most, if it resembles one.
 */
export function plainOf(issue: Issue): Issue {
  if (issue.code !== 'invalid_union') return issue
  const firsts = firstsOf(issue)
  const inside =
    firsts.find(({ path }) => path.length > 0) ?? firsts.find(({ code }) => code === 'unrecognized_keys')
  if (inside === undefined) return issue
  return plainOf({ ...inside, path: [...issue.path, ...inside.path] } as Issue)
}

/**
 * @param input The checked value, in which the wrong part is looked up.
 * @param known The keys among which the one is looked for that an unknown one may mean.
 */
export function wrongOf(written: Issue, input: unknown, known: KnownKeys = () => []): Wrong {
  const issue = plainOf(written)
  if (issue.code === 'invalid_union') return wrongOfUnion(issue, input)
  const path = issue.path
  if (issue.code === 'invalid_key')
    return { path, text: `${expectedOf(issue.issues[0] as Issue)}, found the key ${shown(path.at(-1))}` }
  if (issue.code === 'unrecognized_keys') return { path, text: unknownText(issue.keys, known(path)) }
  return { path, text: `${expectedOf(issue)}, found ${shown(valueAt(input, path))}` }
}

/** As one line: `'limits.heapMib': expected a number of at least 8, found 3`. */
export function wrongText({ path, text }: Wrong): string {
  return path.length === 0 ? text : `'${path.join('.')}': ${text}`
}

/** The first few issues, with their places. @param schema The one that found them. */
export function issuesText(error: z.ZodError, input: unknown, schema?: z.ZodType): string {
  const known = schema && keysOf(schema)
  return error.issues
    .slice(0, 3)
    .map((issue) => wrongText(wrongOf(issue, input, known)))
    .join('; ')
}

/** `unknown key 'memMb'; did you mean 'memMib'?` */
function unknownText([first, ...more]: readonly string[], known: readonly string[]): string {
  const all = [first!, ...more].map((key) => `'${key}'`).join(', ')
  const meant = nearest(first!, known)
  return `unknown key ${all}${meant === undefined ? '' : `; did you mean '${meant}'?`}`
}

/** Of a value that has none of several forms: names all of them. */
function wrongOfUnion(issue: Union, input: unknown): Wrong {
  const expected = firstsOf(issue)
    .map((first) => expectedOf(first).replace(/^expected /, ''))
    .join(', or ')
  const found = shown(valueAt(input, issue.path))
  return { path: issue.path, text: expected === '' ? issue.message : `expected ${expected}, found ${found}` }
}

type Union = Extract<Issue, { code: 'invalid_union' }>

/** The first mistake of each form. */
function firstsOf({ errors }: Union): Issue[] {
  return errors.flatMap(([first]) => (first === undefined ? [] : [first]))
}

function expectedOf(issue: Issue): string {
  if (issue.message.startsWith('expected ')) return issue.message // the schema knows better
  switch (issue.code) {
    case 'invalid_type':
      return `expected ${typeNames[issue.expected] ?? issue.expected}`
    case 'invalid_value':
      return `expected ${issue.values.length > 1 ? 'one of ' : ''}${issue.values.map((value) => JSON.stringify(value)).join(', ')}`
    case 'too_small':
      return `expected ${amount(issue.origin)}at least ${issue.minimum}${units[issue.origin] ?? ''}`
    case 'too_big':
      return `expected ${amount(issue.origin)}at most ${issue.maximum}${units[issue.origin] ?? ''}`
    default:
      return issue.message
  }
}

function amount(origin: string): string {
  return origin in units ? '' : `${typeNames[origin] ?? origin} of `
}

function valueAt(input: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>(
    (value, key) => (value as Record<PropertyKey, unknown> | undefined)?.[key],
    input,
  )
}

function shown(value: unknown): string {
  const text = JSON.stringify(value)
  if (text === undefined) return value === undefined ? 'nothing' : typeof value
  return text.length <= foundCharsMax ? text : `${text.slice(0, foundCharsMax)}…`
}
