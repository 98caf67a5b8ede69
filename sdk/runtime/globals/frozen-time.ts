/**
 * FrozenTime: `Date`, `performance` and `Intl.DateTimeFormat` with the seam's clock (I6). Time stands still during a
 * batch, so it is also useless for timing attacks on neighbours.
 * @module
 */
import type { Seam } from '../callback/seam.ts'

const { construct, defineProperty } = Reflect

/**
 * A Date whose current time is the seam's. Its prototype is the original one, whose constructor is replaced by this
 * one.
 */
export function makeDate(seam: Pick<Seam, 'nowMs'>): DateConstructor {
  const RealDate = Date
  function FrozenDate(...args: unknown[]): unknown {
    if (new.target === undefined) return new RealDate(seam.nowMs).toString()
    return construct(RealDate, args.length === 0 ? [seam.nowMs] : args, new.target)
  }
  const statics = { now: () => seam.nowMs, parse: RealDate.parse, UTC: RealDate.UTC }
  for (const [name, value] of Object.entries(statics)) {
    defineProperty(FrozenDate, name, { value, writable: true, configurable: true })
  }
  defineProperty(FrozenDate, 'name', { value: 'Date', configurable: true })
  defineProperty(FrozenDate, 'length', { value: 7, configurable: true })
  defineProperty(FrozenDate, 'prototype', { value: RealDate.prototype, writable: false })
  defineProperty(RealDate.prototype, 'constructor', { value: FrozenDate, writable: true, configurable: true })
  return FrozenDate as unknown as DateConstructor
}

export function makePerformance(seam: Pick<Seam, 'nowMs'>): { readonly timeOrigin: number; now(): number } {
  const timeOrigin = seam.nowMs
  return { timeOrigin, now: () => seam.nowMs - timeOrigin }
}

/** Formatting without a date means the current time: passes the seam's. */
export function freezeFormats(seam: Pick<Seam, 'nowMs'>): void {
  const prototype = Intl.DateTimeFormat.prototype
  const { get: realFormat } = Object.getOwnPropertyDescriptor(prototype, 'format')!
  const { formatToParts: realParts } = prototype
  type Formatted = Parameters<typeof realParts>[0]
  const accessor = {
    get format() {
      const format = Reflect.apply(realFormat!, this, []) as (date: Formatted) => string
      return (date?: Formatted) => format(date === undefined ? seam.nowMs : date)
    },
    formatToParts(this: Intl.DateTimeFormat, date?: Formatted) {
      return Reflect.apply(realParts, this, [date === undefined ? seam.nowMs : date])
    },
  }
  for (const name of ['format', 'formatToParts'] as const) {
    const descriptor = Object.getOwnPropertyDescriptor(accessor, name)!
    defineProperty(prototype, name, { ...descriptor, enumerable: false })
  }
}
