/**
 * Proto: reads Protobuf's JSON as a Mesos master does: what it accepts, what it refuses, and in which words.
 *
 *   P1. Unknown fields are dropped, `null` is unset, an unknown enum value counts as absent.
 *   P2. A number may come as a string; no other kind of value is turned into another.
 *   P3. Required fields are checked at the end, all at once, and named by their paths.
 * @module
 */

/** What is wrong with a body, in the words of the master's answer. */
export class ProtoError extends Error {}

export interface Type<T> {
  /** Answers undefined for what counts as absent. @throws {ProtoError} */
  convert(json: unknown, field: string): T | undefined
  /** The paths of required fields that a converted value lacks. */
  missing?(value: T, path: string): string[]
}
export interface Required<T> {
  readonly rule: 'required'
  readonly type: Type<T>
}
export interface Repeated<T> {
  readonly rule: 'repeated'
  readonly type: Type<T>
}
type Field = Type<unknown> | Required<unknown> | Repeated<unknown>
type Fields = Readonly<Record<string, Field>>

/** The TypeScript shape of a message: required and repeated fields are always there. */
export type Message<F extends Fields> = {
  readonly [K in keyof F as F[K] extends Required<unknown> ? K : never]: F[K] extends Required<infer T>
    ? T
    : never
} & {
  readonly [K in keyof F as F[K] extends Repeated<unknown> ? K : never]: F[K] extends Repeated<infer T>
    ? readonly T[]
    : never
} & {
  readonly [K in keyof F as F[K] extends Type<unknown> ? K : never]?: F[K] extends Type<infer T> ? T : never
}
export type Infer<T> = T extends Type<infer V> ? V : never

export const required = <T>(type: Type<T>): Required<T> => ({ rule: 'required', type })
export const repeated = <T>(type: Type<T>): Repeated<T> => ({ rule: 'repeated', type })

export const string: Type<string> = {
  convert: (json, field) => (typeof json === 'string' ? json : refuse(json, field)),
}

export const bool: Type<boolean> = {
  convert: (json, field) => (typeof json === 'boolean' ? json : refuse(json, field)),
}

export const number: Type<number> = {
  convert(json, field) {
    if (typeof json === 'number') return json
    if (typeof json !== 'string') return refuse(json, field)
    if (/^-?\d+(\.\d+)?([eE][+-]?\d+)?$/.test(json)) return Number(json)
    throw new ProtoError(
      `Failed to parse '${json}' as a JSON number for field '${field}': syntax error at line 1 near: ${json}`,
    )
  },
}

/** Bytes stay in their base64 text: it is compared and handed on, never looked into. */
export const bytes: Type<string> = {
  convert(json, field) {
    if (typeof json !== 'string') return refuse(json, field)
    const alien = /[^A-Za-z0-9+/=]/.exec(json)
    if (alien === null) return json
    throw new ProtoError(`Failed to base64 decode bytes field '${field}': Invalid character '${alien[0]}'`)
  },
}

/** Taken as it is: fields of which minimesos knows only whether they are there. */
export const anything: Type<unknown> = { convert: (json) => json }

export function oneOf<const V extends string>(...values: readonly V[]): Type<V> {
  return {
    convert: (json, field) =>
      typeof json === 'string' ? values.find((value) => value === json) : refuse(json, field),
  }
}

export function message<F extends Fields>(fields: F): Type<Message<F>> {
  return {
    convert(json, field) {
      if (json === null || typeof json !== 'object' || Array.isArray(json)) return refuse(json, field)
      const out: Record<string, unknown> = {}
      for (const [name, spec] of Object.entries(fields)) {
        const value = convertField((json as Record<string, unknown>)[name], name, spec)
        if (value !== undefined) out[name] = value
      }
      return out as Message<F>
    },
    missing(value, path) {
      const prefix = path === '' ? '' : `${path}.`
      return Object.entries(fields).flatMap(([name, spec]) =>
        missingIn((value as Record<string, unknown>)[name], prefix + name, spec),
      )
    },
  }
}

/**
 * Converts a whole body.
 * @throws {ProtoError} In the words that follow `Failed to convert JSON into Call protobuf: `.
 */
export function convert<T>(type: Type<T>, json: unknown): T {
  if (json === null || typeof json !== 'object' || Array.isArray(json)) {
    throw new ProtoError('Expecting a JSON object')
  }
  const value = type.convert(json, '') as T
  const missing = type.missing?.(value, '') ?? []
  if (missing.length > 0) throw new ProtoError(`Missing required fields: ${missing.join(', ')}`)
  return value
}

function convertField(json: unknown, name: string, spec: Field): unknown {
  if (!('rule' in spec)) return convertOne(json, name, spec)
  if (spec.rule === 'required') return convertOne(json, name, spec.type)
  if (json === undefined || json === null) return []
  const items: readonly unknown[] = Array.isArray(json) ? json : [json]
  return items.map((item) => convertOne(item, name, spec.type)).filter((item) => item !== undefined)
}

function convertOne(json: unknown, name: string, type: Type<unknown>): unknown {
  return json === undefined || json === null ? undefined : type.convert(json, name)
}

function missingIn(value: unknown, path: string, spec: Field): string[] {
  if (!('rule' in spec)) return value === undefined ? [] : (spec.missing?.(value, path) ?? [])
  if (spec.rule === 'required') return value === undefined ? [path] : (spec.type.missing?.(value, path) ?? [])
  return (value as readonly unknown[]).flatMap((item, i) => spec.type.missing?.(item, `${path}[${i}]`) ?? [])
}

function refuse(json: unknown, field: string): never {
  const kind = Array.isArray(json) ? 'array' : typeof json
  throw new ProtoError(`Not expecting a JSON ${kind} for field '${field}'`)
}
