/**
 * structuredClone, for what can be cloned without a browser: primitives, plain objects, arrays, Map, Set, Date, RegExp,
 * errors, buffers and their views; cycles and shared parts are kept.
 * @see https://html.spec.whatwg.org/multipage/structured-data.html
 * @module
 */
import { DOMException } from './dom-exception.ts'

const errorTypes: Readonly<Record<string, ErrorConstructor>> = {
  EvalError,
  RangeError,
  ReferenceError,
  SyntaxError,
  TypeError,
  URIError,
}

export function structuredClone<T>(
  value: T,
  options: { readonly transfer?: readonly ArrayBuffer[] } = {},
): T {
  const { transfer = [] } = options
  if (!transfer.every((buffer) => buffer instanceof ArrayBuffer))
    throw refused('only ArrayBuffers can be transferred')
  if (new Set(transfer).size < transfer.length) throw refused('a buffer is given for transfer twice')
  const made = clone(value, new Map<object, unknown>()) as T
  // Views had to be cloned first, so what was "transferred" is a copy, and the original is detached.
  for (const buffer of transfer) buffer.transfer()
  return made
}

function clone(value: unknown, clones: Map<object, unknown>): unknown {
  if (typeof value === 'function' || typeof value === 'symbol')
    throw refused(`${String(value).slice(0, 60)} has no copy`)
  if (typeof value !== 'object' || value === null) return value
  if (clones.has(value)) return clones.get(value)
  const made = shell(value, clones)
  clones.set(value, made)
  fill(made, value, clones)
  return made
}

/** The clone before its parts are cloned, so that parts can refer to it. */
function shell(value: object, clones: Map<object, unknown>): object {
  if (Array.isArray(value)) return new Array(value.length)
  if (value instanceof Date) return new Date(value.getTime())
  if (value instanceof RegExp) return new RegExp(value.source, value.flags)
  if (value instanceof Map) return new Map()
  if (value instanceof Set) return new Set()
  if (value instanceof Error) return errorShell(value)
  if (value instanceof ArrayBuffer) return value.slice(0)
  if (ArrayBuffer.isView(value)) return viewShell(value, clones)
  for (const Boxed of [Boolean, Number, String, BigInt, Symbol]) {
    if (value instanceof Boxed) {
      if (Boxed === Symbol) throw refused('a symbol has no copy')
      return Object(value.valueOf())
    }
  }
  if (value instanceof WeakMap || value instanceof WeakSet || value instanceof Promise) {
    throw refused(`a ${Object.prototype.toString.call(value).slice(8, -1)} has no copy`)
  }
  return {}
}

function errorShell(value: Error): Error {
  const name = String(value.name)
  const ErrorType = Object.hasOwn(errorTypes, name) ? errorTypes[name]! : Error
  const made = new ErrorType()
  for (const key of ['message', 'stack'] as const) {
    if (Object.hasOwn(value, key))
      Object.defineProperty(made, key, { value: String(value[key]), writable: true, configurable: true })
  }
  return made
}

function viewShell(view: ArrayBufferView, clones: Map<object, unknown>): object {
  const buffer = clone(view.buffer, clones) as ArrayBuffer
  if (view instanceof DataView) return new DataView(buffer, view.byteOffset, view.byteLength)
  const Type = view.constructor as new (buffer: ArrayBuffer, offset: number, length: number) => object
  return new Type(buffer, view.byteOffset, (view as unknown as { length: number }).length)
}

function fill(made: object, value: object, clones: Map<object, unknown>): void {
  if (made instanceof Map) {
    for (const [key, item] of [...(value as Map<unknown, unknown>)])
      made.set(clone(key, clones), clone(item, clones))
  } else if (made instanceof Set) {
    for (const item of [...(value as Set<unknown>)]) made.add(clone(item, clones))
  } else if (made instanceof Error) {
    if (Object.hasOwn(value, 'cause')) made.cause = clone((value as Error).cause, clones)
  } else if (Array.isArray(made) || Object.getPrototypeOf(made) === Object.prototype) {
    for (const key of Object.keys(value)) {
      const item = clone((value as Record<string, unknown>)[key], clones)
      Object.defineProperty(made, key, { value: item, writable: true, enumerable: true, configurable: true })
    }
  }
}

function refused(why: string): DOMException {
  return new DOMException(`Cannot clone: ${why}`, 'DataCloneError')
}
