/**
 * Placement: which waiting instance goes to which agent. Pure: the same question has the same answer.
 *
 * Large requests first, so that small ones fill what is left; one that fits nowhere is tried smaller. Among the agents that can take one: the fewest
 * instances of the same function (so that one machine's death costs it least), then the tightest fit.
 *
 *  P1. On no agent is more placed than its offers hold.
 *  P2. What is not placed is told why, in terms of the nearest miss.
 * @module
 */
import type { Offer, Resources } from '../engine.ts'
import { minus, plus, sum } from './resources.ts'

export interface Request {
  /** Unique among the requests. */
  readonly id: string
  /** What is spread: a function, or the runners of a group. */
  readonly function: string
  readonly resources: Resources
  /** What to try instead, if it fits nowhere. */
  readonly smaller?: () => readonly Request[]
}

export interface Placement {
  readonly request: Request
  readonly agentId: string
  readonly hostname: string
}

export interface PlacementAnswer {
  readonly placed: readonly Placement[]
  /** By request id. */
  readonly unplaced: ReadonlyMap<string, string>
}

interface Room {
  readonly agentId: string
  readonly hostname: string
  free: Resources
}

/**
 * @param neighbours How many instances of a function an agent runs already.
 */
export function place(
  requests: readonly Request[],
  offers: readonly Offer[],
  neighbours: (functionName: string, agentId: string) => number,
): PlacementAnswer {
  const rooms = roomsOf(offers)
  const placed: Placement[] = []
  const unplaced = new Map<string, string>()
  const queue = bySize(requests)
  for (let request = queue.shift(); request !== undefined; request = queue.shift()) {
    const { function: name, resources } = request
    const rank = (room: Room) =>
      neighbours(name, room.agentId) +
      placed.filter((p) => p.agentId === room.agentId && p.request.function === name).length
    const room = rooms
      .filter((candidate) => missing(resources, candidate.free) === undefined)
      .map((candidate) => ({
        candidate,
        rank: rank(candidate),
        left: slack(resources, candidate.free),
      }))
      .sort(
        (a, b) => a.rank - b.rank || a.left - b.left || (a.candidate.agentId < b.candidate.agentId ? -1 : 1),
      )[0]
    if (room === undefined && request.smaller !== undefined) {
      queue.unshift(...request.smaller())
      continue
    }
    if (room === undefined) {
      unplaced.set(request.id, explain(request.resources, rooms, offers.length))
      continue
    }
    room.candidate.free = minus(room.candidate.free, request.resources)
    placed.push({ request, agentId: room.candidate.agentId, hostname: room.candidate.hostname })
  }
  return { placed, unplaced }
}

function roomsOf(offers: readonly Offer[]): Room[] {
  const rooms = new Map<string, Room>()
  for (const offer of offers) {
    const room = rooms.get(offer.agentId)
    if (room === undefined)
      rooms.set(offer.agentId, { agentId: offer.agentId, hostname: offer.hostname, free: offer.resources })
    else room.free = plus(room.free, offer.resources)
  }
  return [...rooms.values()]
}

function bySize(requests: readonly Request[]): Request[] {
  return [...requests].sort(
    (a, b) =>
      b.resources.cpus - a.resources.cpus ||
      b.resources.memMib - a.resources.memMib ||
      b.resources.diskMib - a.resources.diskMib ||
      (a.id < b.id ? -1 : 1),
  )
}

/** How much is left, as the sum of the shares left of each resource. */
function slack(need: Resources, free: Resources): number {
  const part = (n: number, f: number) => (f === 0 ? 0 : (f - n) / f)
  return part(need.cpus, free.cpus) + part(need.memMib, free.memMib) + part(need.diskMib, free.diskMib)
}

interface Miss {
  readonly text: string
  /** As a share of what is needed. */
  readonly size: number
}

function missing(need: Resources, free: Resources): Miss | undefined {
  const misses = [
    { by: sum(need.cpus, -free.cpus), of: need.cpus, unit: 'cpus' },
    { by: sum(need.memMib, -free.memMib), of: need.memMib, unit: 'MiB of memory' },
    { by: sum(need.diskMib, -free.diskMib), of: need.diskMib, unit: 'MiB of disk' },
  ].filter((miss) => miss.by > 0)
  if (misses.length === 0) return undefined
  return {
    text: misses.map((miss) => `${miss.by} ${miss.unit}`).join(' and '),
    size: misses.reduce((size, miss) => size + miss.by / miss.of, 0),
  }
}

function explain(need: Resources, rooms: readonly Room[], offers: number): string {
  const best = rooms
    .map((room) => missing(need, room.free))
    .filter((miss) => miss !== undefined)
    .sort((a, b) => a.size - b.size)[0]
  const seen = offers === 1 ? '1 offer seen' : `${offers} offers seen`
  return best === undefined ? seen : `${seen}; the best misses ${best.text}`
}
