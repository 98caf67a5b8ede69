/**
 * WeighedFormats: what a format of Intl holds outside of V8's heap weighs as much on it.
 *
 * A DateTimeFormat holds 32 KiB in ICU's memory and some 200 bytes on V8's heap. V8 is not told of the former, so a function that made
 * one for each record filled its process with garbage that V8 saw no reason to collect (20,000 of them: 525 MiB, no collection).
 *   WF1. A format has an array in a private field, as large as what it holds outside. So it lives and dies with the format, in the same
 *        generation, and V8 collects as often as if ICU's memory were its own: 20,000 of them stay below 60 MiB.
 *   WF2. What makes a format within V8, where nothing can be weighed (`toLocaleString`), makes a weighed one here, with the same result.
 *   WF3. As in V8, the last format of `toLocaleString` without options is kept for the next call with the same locale.
 * Whoever makes no formats pays nothing.
 * @module
 */
const { apply, construct, defineProperty, getOwnPropertyDescriptor } = Reflect
const List = Array
const { create } = Object
const { getTime } = Date.prototype

/** KiB that one holds outside of the heap, as measured with Node 24 on Linux. */
const weightKib = {
  Collator: 8,
  DateTimeFormat: 32,
  DisplayNames: 6,
  DurationFormat: 8,
  ListFormat: 1,
  Locale: 6,
  NumberFormat: 7,
  PluralRules: 8,
  RelativeTimeFormat: 13,
  Segmenter: 15,
} as const

/** Returns what it is given, so that a class derived from it adds its private fields to that. */
function Given(this: unknown, given: object): object {
  return given
}

class Weighed extends (Given as unknown as new (given: object) => object) {
  readonly #weight: readonly unknown[]

  private constructor(format: object, kib: number) {
    super(format)
    this.#weight = new List(kib * 128)
  }

  static of<Format extends object>(format: Format, kib: number): Format {
    return #weight in format ? format : (new Weighed(format, kib) as Format)
  }
}

type Make<Format> = (locales?: unknown, options?: unknown) => Format
type Native = new (...args: unknown[]) => object

export function weighFormats(): void {
  const plain = { writable: true, configurable: true, enumerable: false }
  const intl = Intl as unknown as Record<string, Native | undefined>
  for (const name of Object.keys(weightKib) as (keyof typeof weightKib)[]) {
    const native = intl[name]
    if (native === undefined) continue
    const value = weighed(native, weightKib[name])
    defineProperty(native.prototype, 'constructor', { ...plain, value })
    defineProperty(intl, name, { ...plain, value })
  }
  const { Collator, DateTimeFormat, NumberFormat } = Intl
  replaceDateTexts((locales, options) => new DateTimeFormat(locales as string, options as object))
  replaceNumberTexts((locales, options) => new NumberFormat(locales as string, options as object))
  replaceComparison((locales, options) => new Collator(locales as string, options as object))
}

function weighed(native: Native, kib: number): Native {
  return new Proxy(native, {
    construct: (target, args, newTarget) => Weighed.of(construct(target, args, newTarget) as object, kib),
    apply: (target, self, args) =>
      Weighed.of(apply(target as unknown as () => object, self, args as []) as object, kib),
  })
}

/** WF3. */
function keepingLast<Format>(make: Make<Format>): Make<Format> {
  let last: { readonly locales: unknown; readonly format: Format } | undefined
  return (locales, options) => {
    if (options !== undefined || (locales !== undefined && typeof locales !== 'string'))
      return make(locales, options)
    if (last === undefined || last.locales !== locales) last = { locales, format: make(locales) }
    return last.format
  }
}

const dateFields = ['weekday', 'year', 'month', 'day'] as const
const timeFields = ['dayPeriod', 'hour', 'minute', 'second', 'fractionalSecondDigits'] as const
const dateDefaults = { year: 'numeric', month: 'numeric', day: 'numeric' }
const timeDefaults = { hour: 'numeric', minute: 'numeric', second: 'numeric' }

function replaceDateTexts(make: Make<Intl.DateTimeFormat>): void {
  const format = getOwnPropertyDescriptor(Intl.DateTimeFormat.prototype, 'format')!.get!
  /** ECMA-402, CreateDateTimeFormat: which fields are added if the options have none of those. */
  const ofDefaults = (
    fields: readonly string[],
    defaults: object,
    foreignStyle?: 'dateStyle' | 'timeStyle',
  ): Make<string> => {
    const formatOf = keepingLast((locales, options) => {
      if (options === null) return make(locales, options) // which throws
      const given = create(options === undefined ? null : (Object(options) as object)) as Record<
        string,
        unknown
      >
      if (foreignStyle !== undefined && given[foreignStyle] !== undefined)
        throw new TypeError(`Invalid option : ${foreignStyle}`)
      const named = [...fields, 'dateStyle', 'timeStyle'].some((field) => given[field] !== undefined)
      return make(locales, named ? given : Object.assign(given, defaults))
    })
    return function (this: unknown, locales, options) {
      const timeMs = apply(getTime, this, []) as number
      if (Number.isNaN(timeMs)) return 'Invalid Date'
      return (apply(format, formatOf(locales, options), []) as (timeMs: number) => string)(timeMs)
    }
  }
  const all = ofDefaults([...dateFields, ...timeFields], { ...dateDefaults, ...timeDefaults })
  const date = ofDefaults(dateFields, dateDefaults, 'timeStyle')
  const time = ofDefaults(timeFields, timeDefaults, 'dateStyle')
  replace(Date.prototype, {
    toLocaleString(locales?: unknown, options?: unknown) {
      return apply(all, this, [locales, options])
    },
    toLocaleDateString(locales?: unknown, options?: unknown) {
      return apply(date, this, [locales, options])
    },
    toLocaleTimeString(locales?: unknown, options?: unknown) {
      return apply(time, this, [locales, options])
    },
  })
}

function replaceNumberTexts(make: Make<Intl.NumberFormat>): void {
  const format = getOwnPropertyDescriptor(Intl.NumberFormat.prototype, 'format')!.get!
  for (const prototype of [Number.prototype, BigInt.prototype]) {
    const { valueOf: valueIn } = prototype
    const formatOf = keepingLast(make)
    replace(prototype, {
      toLocaleString(locales?: unknown, options?: unknown) {
        const value = apply(valueIn, this, []) as number
        return (apply(format, formatOf(locales, options), []) as (value: number) => string)(value)
      },
    })
  }
}

function replaceComparison(make: Make<Intl.Collator>): void {
  const compare = getOwnPropertyDescriptor(Intl.Collator.prototype, 'compare')!.get!
  const { localeCompare } = String.prototype
  replace(String.prototype, {
    localeCompare(that: unknown, locales?: unknown, options?: unknown) {
      if (options === undefined) return apply(localeCompare, this, [that, locales]) as number
      if (this === undefined || this === null) return apply(localeCompare, this, [that]) as number // which throws
      const [one, other] = [`${this as unknown as string}`, `${that as string}`]
      return (apply(compare, make(locales, options), []) as (one: string, other: string) => number)(
        one,
        other,
      )
    },
  })
}

/** Keeps the descriptors, and the length that the language says. */
function replace(prototype: object, methods: Record<string, (...args: never[]) => unknown>): void {
  for (const name of Object.keys(methods)) {
    const was = getOwnPropertyDescriptor(prototype, name)!
    const value = methods[name]!
    defineProperty(value, 'length', getOwnPropertyDescriptor(was.value as object, 'length')!)
    defineProperty(prototype, name, { ...was, value })
  }
}
