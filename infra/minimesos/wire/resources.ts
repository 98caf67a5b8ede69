/**
 * Resources: amounts by name and reservation, scalars (cpus, mem, disk) and ranges (ports), in the order they were named.
 *
 *   R1. Scalars are kept to three decimals, as Mesos keeps them, so that 0.1 + 0.2 = 0.3.
 *   R2. Amounts of zero and empty ranges are dropped.
 * @module
 */
import type { ResourceInfo } from './messages.ts'
import {
  formatReservations,
  inRole,
  isFor,
  keyOf,
  nameOf,
  reservationsIn,
  reservationsOf,
} from './reservations.ts'

/** Both ends included. */
export interface Range {
  readonly begin: number
  readonly end: number
}
export type Amount = number | readonly Range[]
/** By the keys of reservations.ts; what is not reserved goes by its name alone. */
export type Resources = ReadonlyMap<string, Amount>

export function resources(amounts: Readonly<Record<string, Amount>>): Resources {
  return kept(Object.entries(amounts))
}

export function fromWire(infos: readonly ResourceInfo[]): Resources {
  return sum(
    infos.map((info) =>
      kept([
        [
          keyOf(info.name, reservationsIn(info)),
          info.type === 'RANGES' ? (info.ranges?.range ?? []) : (info.scalar?.value ?? 0),
        ],
      ]),
    ),
  )
}

/** The resources as they stand in an offer to `role`; `legacy` is for frameworks without RESERVATION_REFINEMENT. */
export function toWire(all: Resources, role: string, legacy: boolean): unknown[] {
  return [...all].map(([key, amount]) => {
    const reservations = reservationsOf(key)
    return {
      name: nameOf(key),
      ...(typeof amount === 'number'
        ? { type: 'SCALAR', scalar: { value: amount } }
        : { type: 'RANGES', ranges: { range: amount } }),
      ...(legacy ? inRole(reservations) : {}),
      allocation_info: { role },
      ...(legacy || reservations.length === 0 ? {} : { reservations }),
    }
  })
}

/** As a master prints them: `cpus(allocated: web):0.1; ports(allocated: web):[31000-32000]`. */
export function format(all: Resources, role: string): string {
  const shown = (amount: Amount): string =>
    typeof amount === 'number' ? String(amount) : `[${amount.map((r) => `${r.begin}-${r.end}`).join(', ')}]`
  return [...all]
    .map(([key, amount]) => {
      const reserved = formatReservations(reservationsOf(key))
      return `${nameOf(key)}(allocated: ${role})${reserved}:${shown(amount)}`
    })
    .join('; ')
}

/** Those that a role may be offered, without those of more than one reservation for who knows of one only. */
export function availableTo(all: Resources, role: string, legacy: boolean): Resources {
  return new Map([...all].filter(([key]) => isFor(key, role) && !(legacy && reservationsOf(key).length > 1)))
}

/** The amounts that each role has reserved. */
export function reservedByRole(all: Resources): Readonly<Record<string, Readonly<Record<string, Amount>>>> {
  const roles = new Set([...all.keys()].flatMap((key) => reservationsOf(key).at(-1)?.role ?? []))
  const of = (role: string) => new Map([...all].filter(([key]) => reservationsOf(key).at(-1)?.role === role))
  return Object.fromEntries([...roles].map((role) => [role, Object.fromEntries(rekey(of(role), nameOf))]))
}

/** The same amounts by other keys; what then has the same key is added up. */
export function rekey(all: Resources, to: (key: string) => string): Resources {
  return sum([...all].map(([key, amount]) => kept([[to(key), amount]])))
}

export function add(a: Resources, b: Resources): Resources {
  return combine(
    a,
    b,
    (x, y) => x + y,
    (x, y) => union([...x, ...y]),
  )
}

/** What `a` has beyond `b`; never less than nothing. */
export function subtract(a: Resources, b: Resources): Resources {
  return combine(a, b, (x, y) => Math.max(0, x - y), without)
}

export const sum = (all: Iterable<Resources>): Resources => [...all].reduce(add, new Map())

/** True if `part` fits within `whole`. */
export function contains(whole: Resources, part: Resources): boolean {
  return subtract(part, whole).size === 0
}

/** Reserved or not. */
export const scalar = (all: Resources, name: string): number =>
  [...all].reduce(
    (total, [key, amount]) => total + (nameOf(key) === name && typeof amount === 'number' ? amount : 0),
    0,
  )

function combine(
  a: Resources,
  b: Resources,
  scalars: (x: number, y: number) => number,
  ranges: (x: readonly Range[], y: readonly Range[]) => readonly Range[],
): Resources {
  return kept(
    [...new Set([...a.keys(), ...b.keys()])].map((name) => {
      const [x, y] = [a.get(name), b.get(name)]
      return typeof (x ?? y) === 'number'
        ? [name, scalars(typeof x === 'number' ? x : 0, typeof y === 'number' ? y : 0)]
        : [name, ranges(typeof x === 'object' ? x : [], typeof y === 'object' ? y : [])]
    }),
  )
}

function kept(amounts: readonly (readonly [string, Amount])[]): Resources {
  return new Map(
    amounts
      .map(
        ([name, amount]) =>
          [name, typeof amount === 'number' ? Math.round(amount * 1000) / 1000 : union(amount)] as const,
      )
      .filter(([, amount]) => (typeof amount === 'number' ? amount > 0 : amount.length > 0)),
  )
}

function union(ranges: readonly Range[]): readonly Range[] {
  const out: Range[] = []
  for (const range of [...ranges].sort((a, b) => a.begin - b.begin)) {
    const last = out.at(-1)
    if (range.end < range.begin) continue
    if (last === undefined || range.begin > last.end + 1) out.push({ begin: range.begin, end: range.end })
    else out[out.length - 1] = { begin: last.begin, end: Math.max(last.end, range.end) }
  }
  return out
}

function without(from: readonly Range[], taken: readonly Range[]): readonly Range[] {
  return taken.reduce<readonly Range[]>(
    (left, cut) =>
      left.flatMap((range) =>
        [
          { begin: range.begin, end: Math.min(range.end, cut.begin - 1) },
          { begin: Math.max(range.begin, cut.end + 1), end: range.end },
        ].filter((piece) => piece.begin <= piece.end),
      ),
    from,
  )
}
