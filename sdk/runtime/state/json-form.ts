/**
 * JsonForm: a value as JSON, refused if something else would come back.
 *
 *   JF1. What is kept comes back equal: plain objects, arrays, text, finite numbers, booleans and null. A property that is undefined
 *        is left out, and reads as undefined.
 *   JF2. The check costs a part of what making the text costs: it looks at each value once and makes nothing. What is wrong, and
 *        where, is only looked for if something is.
 * @module
 */
import { fromJson, isFiniteNumber, toJson } from '../realm/primordials.ts'
import { badArgument } from './shaped.ts'

const { isArray } = Array
const { getPrototypeOf } = Reflect
const plain = Object.prototype
const ownKeys = Object.keys

/** @throws {CodedError} ERR_ARGUMENT */
export function jsonOf(value: unknown): string {
  let text: string | undefined
  try {
    text = toJson(value)
  } catch (error) {
    throw faultIn(value) ?? error
  }
  if (text === undefined) throw badArgument(`Cannot set state: JSON has no form of ${typeof value}`)
  if (!isKept(value)) throw faultIn(value) ?? badArgument(`Cannot set state: ${kept}`)
  return text
}

const kept = 'JSON keeps plain objects, arrays, text, finite numbers, booleans and null'

/** JSON was made of it, so it has no cycles. */
function isKept(value: unknown): boolean {
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return true
    case 'number':
      return value - value === 0 // finite
    case 'object':
      return value === null || (isArray(value) ? areKept(value) : isPlain(value) && hasKept(value))
  }
  return false
}

function areKept(items: readonly unknown[]): boolean {
  for (let i = 0; i < items.length; i++) if (!isKept(items[i])) return false
  return true
}

function hasKept(value: object): boolean {
  for (const key in value) {
    const one = (value as Record<string, unknown>)[key]
    if (one !== undefined && !isKept(one)) return false
  }
  return true
}

/** Plain objects of any realm. */
function isPlain(value: object): boolean {
  const prototype = getPrototypeOf(value)
  return prototype === plain || prototype === null || getPrototypeOf(prototype) === null
}

/** The first part that is not kept, said as an error. */
function faultIn(root: unknown): Error | undefined {
  const around: unknown[] = []
  const find = (value: unknown, path: string): Error | undefined => {
    const told = faultOf(value, around)
    if (told !== undefined) return badArgument(`Cannot set state: ${path} is ${told} (${kept})`)
    if (typeof value !== 'object' || value === null) return undefined
    around.push(value)
    for (const key of ownKeys(value)) {
      const one = (value as Record<string, unknown>)[key]
      const at = isArray(value) ? `${path}[${key}]` : `${path}.${key}`
      const fault = one === undefined && !isArray(value) ? undefined : find(one, at)
      if (fault !== undefined) return fault
    }
    around.pop()
    if (!isArray(value) || ownKeys(value).length >= value.length) return undefined
    return badArgument(`Cannot set state: ${path} has holes, and null would come back (${kept})`)
  }
  return find(root, 'the value')
}

function faultOf(value: unknown, around: readonly unknown[]): string | undefined {
  switch (typeof value) {
    case 'number':
      return isFiniteNumber(value) ? undefined : `${value}, and null would come back`
    case 'undefined':
      return 'undefined, and null would come back'
    case 'bigint':
      return 'a bigint, which JSON does not have: keep its text, by String(it)'
    case 'function':
    case 'symbol':
      return `a ${typeof value}, which JSON does not have`
    case 'object':
      if (value === null || isArray(value) || isPlain(value))
        return around.includes(value) ? 'a cycle: it contains itself' : undefined
      return objectFault(value)
  }
  return undefined
}

function objectFault(value: object): string {
  const name = nameOf(value)
  if (value instanceof Map) return `a ${name}, and {} would come back: keep [...it]`
  if (value instanceof Set) return `a ${name}, and {} would come back: keep [...it]`
  if (value instanceof Date) return `a ${name}, and text would come back: keep its getTime()`
  if (ArrayBuffer.isView(value)) return `a ${name}, and no ${name} would come back: setState keeps bytes`
  const back = toJson(value)?.[0] === '{' ? 'a plain object' : typeof fromJson(toJson(value) ?? 'null')
  return `a ${name}, and ${back} would come back: keep what you need of it, such as { ...it }`
}

function nameOf(value: object): string {
  const made = (value as { readonly constructor?: { readonly name?: unknown } }).constructor
  return typeof made?.name === 'string' && made.name !== '' ? made.name : 'class instance'
}
