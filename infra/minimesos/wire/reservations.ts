/**
 * Reservations: for whom a part of an agent is kept. What is reserved goes by a key of its own, `cpus` and
 * `cpus [{"type":"STATIC","role":"web"}]`, so that no sum mixes it with what is free for all, or with another reservation.
 *
 *   V1. Reservations are a stack: the last one says whose it is now, and is the one that RESERVE adds and UNRESERVE takes away.
 *   V2. What is reserved to a role is for it and for the roles below it (`web` and `web/shop`).
 * @module
 */
import type { ReservationInfo, ResourceInfo } from './messages.ts'

export function keyOf(name: string, reservations: readonly ReservationInfo[]): string {
  return reservations.length === 0 ? name : `${name} ${JSON.stringify(reservations)}`
}

export const nameOf = (key: string): string => key.split(' ', 1)[0]!

export function reservationsOf(key: string): readonly ReservationInfo[] {
  const space = key.indexOf(' ')
  return space < 0 ? [] : (JSON.parse(key.slice(space)) as readonly ReservationInfo[])
}

/** Of a resource as it was sent, also by a framework that knows one reservation a resource, in `role` and `reservation`. */
export function reservationsIn({
  reservations,
  role = '*',
  reservation,
}: ResourceInfo): readonly ReservationInfo[] {
  if (reservations.length > 0 || role === '*') return reservations
  return [reservation === undefined ? { type: 'STATIC', role } : { ...reservation, type: 'DYNAMIC', role }]
}

/** The same for such a framework; it is not offered what has more than one. */
export function inRole([reservation]: readonly ReservationInfo[]): object {
  if (reservation === undefined) return { role: '*' }
  const { type, role, ...more } = reservation
  return { role, ...(type === 'DYNAMIC' ? { reservation: more } : {}) }
}

/** V1: without the last reservation. */
export const underlying = (key: string): string => keyOf(nameOf(key), reservationsOf(key).slice(0, -1))

/** As a static one, or none, it was when the agent started. */
export function original(key: string): string {
  const reservations = reservationsOf(key)
  return keyOf(
    nameOf(key),
    reservations.filter(({ type }) => type === 'STATIC'),
  )
}

export const isDynamic = (key: string): boolean => reservationsOf(key).at(-1)?.type === 'DYNAMIC'

/** V2 */
export function isFor(key: string, role: string): boolean {
  const owner = reservationsOf(key).at(-1)?.role
  return owner === undefined || owner === role || role.startsWith(`${owner}/`)
}

/** As a master prints them. */
export function formatReservations(reservations: readonly ReservationInfo[]): string {
  if (reservations.length === 0) return ''
  const each = reservations.map(({ type, role, principal, labels }) => {
    const shown = labels?.labels.map(({ key, value }) => (value === undefined ? key : `${key}: ${value}`))
    return `(${[type, role, principal, shown && `{${shown.join(', ')}}`].filter(Boolean).join(',')})`
  })
  return `(reservations: [${each.join(',')}])`
}
