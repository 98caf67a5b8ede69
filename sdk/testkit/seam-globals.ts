/**
 * SeamGlobals: while a kit calls a function, `Date`, `performance`, `Math.random`, `crypto` and Intl's formats take time and
 * random numbers from the kit's seam, as in an isolate (sdk/runtime/globals).
 *
 *   KG1. Only the function's own code sees the seam, also where an asynchronous callback goes on after an `await`. The
 *        test around it, and what else runs in the process, sees the real clock.
 *   KG2. A TextDecoder of the function's has the encodings of an isolate, and no others.
 *   KG3. The globals are replaced once, when the module is loaded. What a test puts in their place (a mock) counts.
 * @module
 */
import { AsyncLocalStorage } from 'node:async_hooks'
import type { Seam } from '../runtime/callback/seam.ts'
import { encodingOf } from '../runtime/globals/encoding.ts'
import { freezeFormats, makeDate, makePerformance } from '../runtime/globals/frozen-time.ts'
import { makeCrypto } from '../runtime/globals/random.ts'

/** What the globals of one kit's function do. */
export class SeamGlobals {
  readonly seam: Pick<Seam, 'nowMs'>
  readonly random: () => number
  readonly performance: ReturnType<typeof makePerformance>
  readonly crypto: ReturnType<typeof makeCrypto>

  constructor(seam: Pick<Seam, 'nowMs' | 'fillRandom'>, random: () => number) {
    this.seam = seam
    this.random = random
    this.performance = makePerformance(seam)
    this.crypto = makeCrypto(seam)
  }

  /** Calls the function's code. */
  run(call: () => void): void {
    current.run(this, call)
  }
}

const current = new AsyncLocalStorage<SeamGlobals>()

const { now } = Date
const clock = {
  get nowMs(): number {
    return current.getStore()?.seam.nowMs ?? now()
  },
}
globalThis.Date = makeDate(clock)
freezeFormats(clock)
const { timeOrigin } = globalThis.performance
Object.defineProperty(globalThis.performance, 'timeOrigin', {
  get: () => current.getStore()?.performance.timeOrigin ?? timeOrigin,
  enumerable: true,
  configurable: true,
})
replace(globalThis.performance, 'now', (own) => own.performance.now)
replace(globalThis.crypto, 'getRandomValues', (own) => own.crypto.getRandomValues)
replace(globalThis.crypto, 'randomUUID', (own) => own.crypto.randomUUID)
replace(Math, 'random', (own) => own.random)
globalThis.TextDecoder = new Proxy(globalThis.TextDecoder, {
  construct(real, args: [string?], target) {
    if (current.getStore() !== undefined && args[0] !== undefined) encodingOf(args[0]) // KG2
    return Reflect.construct(real, args, target) as object
  },
})

function replace<Name extends string, Method extends (...args: never[]) => unknown>(
  target: Record<Name, Method>,
  name: Name,
  ownOf: (own: SeamGlobals) => Method,
): void {
  const real = target[name].bind(target) as Method
  const value = (...args: never[]) => {
    const own = current.getStore()
    return own === undefined ? real(...args) : ownOf(own)(...args)
  }
  Object.defineProperty(target, name, { value, writable: true, configurable: true })
}
