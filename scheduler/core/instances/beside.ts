/**
 * Beside: gives a running function other resources. A task's resources cannot change, so new instances are launched
 * beside the old ones and take their shares by handover (docs/design/0011-handover.md); then the old ones end.
 *
 *     old ones work → all new ones work too → shares move → old ones go        no room for the new ones: drained and launched
 *
 *   BE1. No share moves until all new instances work; until then the old ones keep their shares, whatever their
 *        version. If the new ones never work, nothing has changed.
 *   BE2. All of this is derived from the seats, so a new leader continues it. Shares move once a new instance has a
 *        share or is promised one. If a new instance ends then, its shares do not go back to an old one: old
 *        instances take no shares once the version is good.
 *   BE3. All shares move at once: each changes hands once, to the new instance in the same place.
 *   BE4. The old instances are ended first only if all new ones fit afterwards. If no agent could hold them, the new
 *        ones wait and the old ones continue.
 * Design: docs/design/0035-vertical.md
 * @module
 */
import type { Manifest } from '../../../sdk/manifest/manifest.ts'
import { movesBeside } from '../../../sdk/versions/swap.ts'
import type { Resources } from '../../engine.ts'
import { awaitedOf, isAtWork } from '../partitions/ownership.ts'
import { Census } from '../placement/census.ts'
import { agentsSeen, wantOf } from '../placement/launching.ts'
import { forbidden } from '../placement/placement.ts'
import { fits, minus, noResources, plus } from '../placement/resources.ts'
import type { Draft } from '../state/draft.ts'
import { rollingOf } from '../state/in-force.ts'
import { keptVersion } from '../state/roles.ts'
import type { FunctionState, Place, Slot } from '../state/state.ts'
import { timings } from '../state/timings.ts'
import { wantedIndexes } from './indexes.ts'

export interface Beside {
  /** The indexes that have the shares, or should get them. */
  readonly active: readonly number[]
  /** The indexes of new instances that start beside these. */
  readonly replacements: readonly number[]
  /** Old instances: they keep their version until others have their shares. */
  readonly old: readonly Slot[]
}

/**
 * Which instances of a function stay, start and go.
 * @returns Undefined if no instance has to be replaced this way.
 */
export function besideOf(
  draft: Draft,
  fn: FunctionState,
  count: number,
  leaving: ReadonlySet<number>,
): Beside | undefined {
  // Forget that a version had no room once another is wanted: if it is wanted again, there may be room.
  if (fn.crowded !== undefined && fn.crowded !== draft.wantedVersion(fn.name)?.version) delete fn.crowded
  const staying = fn.slots.filter((slot) => !leaving.has(slot.index))
  const replaced = staying.filter((slot) => slot.command === undefined && mustMove(draft, fn, slot))
  if (replaced.length === 0) return undefined
  const old = replaced.filter(({ phase }) => phase !== 'draining')
  const barred = new Set([...leaving, ...replaced.map(({ index }) => index)])
  const fresh = wantedIndexes(
    staying.map(({ index }) => index).filter((index) => !barred.has(index)),
    count,
    barred,
  )
  const holders = old.filter((slot) => sharesOf(slot) > 0)
  const held = (holders.length > 0 ? holders : old.slice(0, count)).map(({ index }) => index)
  const kept = fresh.slice(0, Math.max(0, count - held.length))
  const replacements = fresh.slice(kept.length)
  const slots = replacements.map((index) => staying.find((slot) => slot.index === index))
  const isMoving = slots.some((slot) => slot?.seat !== undefined && sharesOf(slot) > 0) // BE2
  const areThere = slots.every((slot) => slot !== undefined && isAtWork(draft, fn, slot)) // BE1
  if (isMoving || areThere) return { active: fresh, replacements: [], old }
  giveUp(draft, fn, slots, old)
  return { active: [...held, ...kept].sort((a, b) => a - b), replacements, old }
}

/** The status text of an instance that is being replaced, or that replaces another. */
export function besideText(
  draft: Draft,
  fn: Readonly<FunctionState>,
  slot: Readonly<Slot>,
): string | undefined {
  if (slot.role?.kind === 'replacement') return 'it starts beside those whose partitions it is to take over'
  if (keptVersion(slot) === undefined) return undefined
  const version = draft.wantedVersion(fn.name)?.version
  const waiting = fn.slots.find(({ role, phase }) => role?.kind === 'replacement' && phase === 'waiting')
  if (waiting === undefined)
    return `an instance of version ${version} takes its partitions over, and then it ends`
  return `it works on until version ${version}, which is to take its partitions over, has room: ${waiting.why ?? 'it waits for an offer'}`
}

function sharesOf({ seat }: Slot): number {
  return (seat?.document.shares.length ?? 0) + awaitedOf(seat).length
}

/**
 * Notes that the new instances found no room beside the old ones for `besideMs`, so that the next plan drains first
 * (BE4). While the engine is down, nothing is offered and nothing is known about room.
 */
function giveUp(
  draft: Draft,
  fn: FunctionState,
  replacements: readonly (Slot | undefined)[],
  old: readonly Slot[],
): void {
  if (!draft.state.engineUp) return
  for (const slot of replacements) {
    if (slot?.phase !== 'waiting') continue
    const untilMs = Math.max(slot.sinceMs, draft.state.engineSinceMs) + timings.besideMs
    if (draft.nowMs < untilMs) {
      draft.wakeAt(fn.name, untilMs)
      continue
    }
    const wanted = draft.wantedVersion(fn.name)
    if (wanted === undefined || fn.crowded === wanted.version) return
    if (!haveRoomThen(draft, fn.name, wanted.manifest, replacements.length, old)) {
      draft.wakeAt(fn.name, draft.nowMs + timings.besideMs)
      return
    }
    const { version } = wanted
    fn.crowded = version
    const message = `${fn.name}: there is no room for instances of version ${version} beside those before, which are ended first`
    draft.act({ kind: 'log', level: 'warn', message })
    return
  }
}

/**
 * BE4: whether `count` new instances fit once the old ones are gone, as far as the free resources of agents are
 * known.
 */
function haveRoomThen(
  draft: Draft,
  name: string,
  manifest: Manifest,
  count: number,
  old: readonly Slot[],
): boolean {
  const going = new Set(old.map(({ index }) => index))
  const capacities = new Map<string, { place: Place; free: Resources }>()
  for (const seen of agentsSeen(draft).values())
    capacities.set(seen.agentId, { place: seen, free: seen.free })
  for (const task of draft.tasks.values()) {
    if (!task.seats.every((seat) => seat.function === name && going.has(seat.index))) continue
    const { agentId, hostname, attributes = {}, resources } = task.document
    const place = { agentId, hostname, attributes }
    const capacity = capacities.get(agentId) ?? { place, free: noResources }
    capacities.set(agentId, { ...capacity, free: plus(capacity.free, resources) })
  }
  const request = { wants: [wantOf(manifest, 1, [])] }
  let left = count
  for (const { place, free } of capacities.values()) {
    // spreading constraints depend on the final placement
    if (forbidden(request, place, new Census([])) !== undefined) continue
    for (let rest = free; left > 0 && fits(manifest.resources, rest); left--)
      rest = minus(rest, manifest.resources)
  }
  return left <= 0
}

/**
 * Whether an instance works, but cannot take over the wanted version in place: another instance has to, with its
 * shares.
 */
function mustMove(draft: Draft, fn: FunctionState, { seat, phase }: Slot): boolean {
  const wanted = draft.state.wanted.functions.get(fn.name)
  const version = draft.wantedVersion(fn.name)
  if (seat === undefined || version === undefined || wanted === undefined) return false
  if (phase !== 'running' && phase !== 'swapping' && phase !== 'draining') return false
  if (wanted.document.drain === true || fn.crowded === version.version || rollingOf(wanted) !== undefined)
    return false
  const before = wanted.versions.get(seat.document.version)
  if (before === undefined || before === version) return false
  return movesBeside(before, version, seat.document.resources)
}
