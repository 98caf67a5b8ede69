/**
 * Primordials: built-ins as they were before any code of the function's author ran.
 *
 * The author's code shares this realm and may replace every built-in. What that breaks is its own, with one exception:
 * memory shared with the host must not come into its hands. Hence the rule of this folder:
 *   P1. A view of shared memory lives in a `#private` field or in a constant of a module, and is touched by element
 *       access (which asks no prototype) and by the functions below, never by a method looked up at run time.
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
 * How many elements there are, whatever the array says of itself: the author's code may give its own a `length`.
 * @throws {TypeError} If it only looks like an array of bytes.
 */
export const lengthOf: (list: Uint8Array | Int32Array) => number = Function.prototype.call.bind(
  typedArrayLength!,
)

/** Appends without asking Array.prototype, which may have a setter for that index by now. */
export function append<T>(list: T[], item: T): void {
  const property = { __proto__: null, value: item, writable: true, enumerable: true, configurable: true }
  defineProperty(list, list.length, property as PropertyDescriptor)
}

/** Gives an object a property that no loop over it shows, and that stays. */
export function defineValue(object: object, name: string, value: unknown): void {
  const property = { __proto__: null, value, writable: false, enumerable: false, configurable: false }
  defineProperty(object, name, property as PropertyDescriptor)
}

export const { fromCharCode } = String
export const { isFinite: isFiniteNumber } = Number

/** `String.fromCharCode(...codes)`; at most some thousands. */
export function stringOf(codes: ArrayLike<number>): string {
  return apply(fromCharCode, undefined, codes)
}

export const Bytes: Uint8ArrayConstructor = Uint8Array
export const Words: Int32ArrayConstructor = Int32Array
export const Memory: ArrayBufferConstructor = ArrayBuffer
export const { stringify: toJson, parse: fromJson } = JSON
