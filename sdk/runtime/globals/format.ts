/**
 * Format: turns the arguments of a console call into one line of text of bounded length.
 * @module
 */
import { consoleLineMax } from '../shared/layout.ts'

const itemsMax = 100
const depthMax = 3

/** Joins the arguments like a console; `%s %d %i %f %j %o %O` in the first string are replaced. */
export function format(args: readonly unknown[]): string {
  const rest = [...args]
  let line = ''
  if (typeof rest[0] === 'string') {
    line = (rest.shift() as string).replace(/%[sdifjoO%]/g, (what) => {
      if (what === '%%') return '%'
      return rest.length === 0 ? what : substitute(what, rest.shift())
    })
  } else if (rest.length > 0) {
    line = show(rest.shift())
  }
  for (const value of rest) {
    if (line.length > consoleLineMax) break
    line += ` ${show(value)}`
  }
  return line.length > consoleLineMax ? `${line.slice(0, consoleLineMax - 1)}…` : line
}

function substitute(what: string, value: unknown): string {
  switch (what) {
    case '%d':
    case '%f':
      return typeof value === 'bigint'
        ? `${value}n`
        : String(typeof value === 'symbol' ? Number.NaN : Number(value))
    case '%i':
      return typeof value === 'bigint' ? `${value}n` : String(Number.parseInt(String(value), 10))
    default:
      return show(value)
  }
}

function show(value: unknown): string {
  return typeof value === 'string' ? value : inspect(value, 0, [])
}

/** A value as text for a log. */
function inspect(value: unknown, depth: number, above: readonly unknown[]): string {
  try {
    return inspectAny(value, depth, above)
  } catch {
    return '[could not be shown]'
  }
}

function inspectAny(value: unknown, depth: number, above: readonly unknown[]): string {
  if (typeof value === 'string') return JSON.stringify(value)
  if (typeof value === 'bigint') return `${value}n`
  if (typeof value === 'function') return `[Function: ${value.name || 'anonymous'}]`
  if (typeof value !== 'object' || value === null) return String(value)
  if (value instanceof Error) return typeof value.stack === 'string' ? value.stack : String(value)
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? 'Invalid Date' : value.toISOString()
  if (value instanceof RegExp) return String(value)
  if (above.includes(value)) return '[Circular]'
  const name = value.constructor?.name ?? 'null prototype'
  if (depth >= depthMax) return Array.isArray(value) ? '[…]' : `[${name}]`
  const inner = (item: unknown) => inspect(item, depth + 1, [...above, value])
  if (Array.isArray(value)) return `[${list(value, inner)}]`
  if (ArrayBuffer.isView(value) && !(value instanceof DataView)) {
    const items = value as unknown as ArrayLike<number>
    return `${name}(${items.length}) [${list(items, String)}]`
  }
  if (value instanceof Map) {
    return `Map(${value.size}) {${list(firstOf(value), ([key, item]) => `${inner(key)} => ${inner(item)}`, value.size)}}`
  }
  if (value instanceof Set) return `Set(${value.size}) {${list(firstOf(value), inner, value.size)}}`
  const keys = Object.keys(value)
  const body = list(
    keys,
    (key) =>
      `${/^[\w$]+$/.test(key) ? key : JSON.stringify(key)}: ${inner((value as Record<string, unknown>)[key])}`,
  )
  return name === 'Object' ? `{${body}}` : `${name} {${body}}`
}

function firstOf<T>(items: Iterable<T>): T[] {
  const first: T[] = []
  for (const item of items) {
    if (first.length === itemsMax) break
    first.push(item)
  }
  return first
}

function list<T>(items: ArrayLike<T>, one: (item: T) => string, size = items.length): string {
  let text = ''
  for (let i = 0; i < Math.min(items.length, itemsMax) && text.length < consoleLineMax; i++) {
    text += `${i === 0 ? ' ' : ', '}${one(items[i]!)}`
  }
  if (size > itemsMax) text += `, … ${size - itemsMax} more`
  return text === '' ? '' : `${text} `
}
