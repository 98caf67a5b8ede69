/**
 * Resources: amounts by name, scalars (cpus, mem, disk) and ranges (ports), in the order they were named.
 *
 *   R1. Scalars are kept to three decimals, as Mesos keeps them, so that 0.1 + 0.2 = 0.3.
 *   R2. Nothing is kept of what is zero or empty.
 * @module
 */
import type { ResourceInfo } from './messages.ts'

/** Both ends are within. */
export interface Range {
  readonly begin: number
  readonly end: number
}
export type Amount = number | readonly Range[]
export type Resources = ReadonlyMap<string, Amount>

export function resources(amounts: Readonly<Record<string, Amount>>): Resources {
  return kept(Object.entries(amounts))
}

export function fromWire(infos: readonly ResourceInfo[]): Resources {
  return sum(
    infos.map((info) =>
      kept([[info.name, info.type === 'RANGES' ? (info.ranges?.range ?? []) : (info.scalar?.value ?? 0)]]),
    ),
  )
}

/** The resources as they stand in an offer to `role`; `starRole` is for frameworks without RESERVATION_REFINEMENT. */
export function toWire(all: Resources, role: string, starRole: boolean): unknown[] {
  return [...all].map(([name, amount]) => ({
    name,
    ...(typeof amount === 'number'
      ? { type: 'SCALAR', scalar: { value: amount } }
      : { type: 'RANGES', ranges: { range: amount } }),
    ...(starRole ? { role: '*' } : {}),
    allocation_info: { role },
  }))
}

/** As a master prints them: `cpus(allocated: web):0.1; ports(allocated: web):[31000-32000]`. */
export function format(all: Resources, role: string): string {
  const shown = (amount: Amount): string =>
    typeof amount === 'number' ? String(amount) : `[${amount.map((r) => `${r.begin}-${r.end}`).join(', ')}]`
  return [...all].map(([name, amount]) => `${name}(allocated: ${role}):${shown(amount)}`).join('; ')
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

export const scalar = (all: Resources, name: string): number => {
  const amount = all.get(name)
  return typeof amount === 'number' ? amount : 0
}

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
