/**
 * Reserving: the changes that RESERVE and UNRESERVE make, and why a master refuses them, in Mesos's words.
 * @module
 */
import {
  format,
  fromWire,
  isDynamic,
  type Operation,
  type ResourceInfo,
  type Resources,
  rekey,
  reservationsIn,
  underlying,
} from '../wire/index.ts'

export interface Conversion {
  readonly from: Resources
  readonly to: Resources
}

export interface ReserveOrder {
  readonly kind: 'RESERVE' | 'UNRESERVE'
  readonly resources: readonly ResourceInfo[]
}

/** Undefined if the operation is another one, or lacks what it should reserve. */
export function orderOf({ type, reserve, unreserve }: Operation): ReserveOrder | undefined {
  if (type === 'RESERVE' && reserve !== undefined) return { kind: type, resources: reserve.resources }
  if (type === 'UNRESERVE' && unreserve !== undefined) return { kind: type, resources: unreserve.resources }
  return undefined
}

export function conversionOf({ kind, resources }: ReserveOrder): Conversion {
  const reserved = fromWire(resources)
  const free = rekey(reserved, underlying)
  return kind === 'RESERVE' ? { from: free, to: reserved } : { from: reserved, to: free }
}

/**
 * @param principal Who asks, where that is known for certain.
 * @param offered The role that the resources were offered to; absent where an operator reserves.
 */
export function reserveFault(
  { kind, resources }: ReserveOrder,
  principal: string | undefined,
  offered?: string,
): string | undefined {
  if (resources.length === 0) return 'Invalid resources: none are named'
  for (const resource of resources) {
    const reserved = fromWire([resource])
    const role = resource.allocation_info?.role ?? offered
    const shown = format(reserved, role ?? '*')
    if ([...reserved.keys()].some((key) => !isDynamic(key)))
      return `Resource ${shown} is not dynamically reserved`
    if (resource.disk !== undefined) return `minimesos has no persistent volumes, and '${shown}' is one`
    if (kind === 'UNRESERVE') continue
    const last = reservationsIn(resource).at(-1)
    const attempted = 'A reserve operation was attempted'
    if (principal !== undefined && last?.principal === undefined)
      return `${attempted} by principal '${principal}', but there is a reserved resource in the request with no principal set`
    if (principal !== undefined && last?.principal !== principal)
      return `${attempted} by authenticated principal '${principal}', which does not match a reserved resource in the request with principal '${last?.principal}'`
    if (offered !== undefined && last?.role !== role)
      return `${attempted} for a resource with role '${last?.role}', but the resource was allocated to role '${role}'`
  }
  return undefined
}
