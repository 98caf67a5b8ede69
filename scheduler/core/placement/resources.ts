/**
 * Resources: sums and differences of an agent's resources. Fractions of a core are counted in thousandths, as the
 * cluster does, so that sums do not drift.
 * @module
 */
import type { Resources } from '../../engine.ts'

export const noResources: Resources = { cpus: 0, memMib: 0, diskMib: 0 }

const milli = (value: number) => Math.round(value * 1000)

export const sum = (a: number, b: number) => (milli(a) + milli(b)) / 1000

export function plus(a: Resources, b: Resources): Resources {
  const scalars = {
    cpus: sum(a.cpus, b.cpus),
    memMib: sum(a.memMib, b.memMib),
    diskMib: sum(a.diskMib, b.diskMib),
  }
  return withPorts(scalars, portsOf(a) + portsOf(b))
}

export function minus(a: Resources, b: Resources): Resources {
  return plus(a, times(b, -1))
}

export function times(each: Resources, n: number): Resources {
  const { cpus, memMib, diskMib } = each
  const scalars = { cpus: (milli(cpus) * n) / 1000, memMib: memMib * n, diskMib: diskMib * n }
  return withPorts(scalars, portsOf(each) * n)
}

export function fits(need: Resources, free: Resources): boolean {
  return (
    milli(need.cpus) <= milli(free.cpus) &&
    need.memMib <= free.memMib &&
    need.diskMib <= free.diskMib &&
    portsOf(need) <= portsOf(free)
  )
}

export function portsOf({ ports = 0 }: Resources): number {
  return ports
}

/** Leaves `ports` out if there are none: most tasks and many agents have none. */
function withPorts(scalars: Omit<Resources, 'ports'>, ports: number): Resources {
  return ports === 0 ? scalars : { ...scalars, ports }
}
