/**
 * Primordials: built-ins, captured before any code of the function's author runs.
 *
 * The author's code shares this realm and may replace every built-in. What breaks by that is its own problem, with
 * one exception: it must not get hold of memory that is shared with the host. Hence the rule of this folder:
 *   P1. A view of shared memory is kept in a `#private` field or a module constant, and is used only by element
 *       access (which consults no prototype) and by the functions below, never by a method that is looked up at run
 *       time.
 * @module
 */
const { apply, defineProperty } = Reflect

const typedArraySet = Uint8Array.prototype.set

/** `target.set(source, at)`. */
export function copyBytes(target: Uint8Array, source: Uint8Array, at: number): void {
  apply(typedArraySet, target, [source, at])
}

/** `Atomics.store` on a view of 32-bit words. */
export const storeWord: (words: Int32Array, index: number, value: number) => number = Atomics.store

const typedArray = Reflect.getPrototypeOf(Uint8Array.prototype)!
const { get: typedArrayLength } = Reflect.getOwnPropertyDescriptor(typedArray, 'length')!

/**
 * The number of elements, whatever the array claims: the author's code may give its own array a `length`.
 * @throws {TypeError} If it only pretends to be an array of bytes.
 */
export const lengthOf: (list: Uint8Array | Int32Array) => number = Function.prototype.call.bind(
  typedArrayLength!,
)

/** Appends an element without Array.prototype, which may have a setter for that index. */
export function append<T>(list: T[], item: T): void {
  const property = { __proto__: null, value: item, writable: true, enumerable: true, configurable: true }
  defineProperty(list, list.length, property as PropertyDescriptor)
}

/** Defines a property that is not enumerable and cannot be changed. */
export function defineValue(object: object, name: string, value: unknown): void {
  const property = { __proto__: null, value, writable: false, enumerable: false, configurable: false }
  defineProperty(object, name, property as PropertyDescriptor)
}

export const { fromCharCode } = String
export const { isFinite: isFiniteNumber } = Number

/** `String.fromCharCode(...codes)`; at most a few thousand. */
export function stringOf(codes: ArrayLike<number>): string {
  return apply(fromCharCode, undefined, codes)
}

export const Bytes: Uint8ArrayConstructor = Uint8Array
export const Words: Int32ArrayConstructor = Int32Array
export const Memory: ArrayBufferConstructor = ArrayBuffer
export const { stringify: toJson, parse: fromJson } = JSON
