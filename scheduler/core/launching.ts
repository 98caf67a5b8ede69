/**
 * Launching: gives the offers at hand to the instances that wait, and hands back all the rest at once (C4).
 *
 * Packed instances that wait are put together, as many as a runner is made for; a runner that fits nowhere is asked for
 * with less room, and at last its instances in smaller parties.
 * @module
 */
import type { TaskDocument, VersionDocument } from '../../infra/store/index.ts'
import type { Resources } from '../engine.ts'
import { freeShares } from './assignments.ts'
import { type Draft, nameOf, newTask } from './draft.ts'
import { resourcesOf, type Sharing, sharingOf } from './packs.ts'
import { type Placement, place, type Request } from './placement.ts'
import type { Launch } from './protocol.ts'
import { plus, times } from './resources.ts'
import { seatDocument } from './seating.ts'
import type { FunctionState, Slot } from './state.ts'
import { timings } from './timings.ts'

interface Waiting {
  readonly fn: FunctionState
  readonly slot: Slot
  readonly version: VersionDocument
  readonly sharing: Sharing | undefined
}

/** One runner to be launched. */
interface Party extends Request {
  readonly members: readonly Waiting[]
  readonly room: number
}

type PlacedParty = Placement & { readonly request: Party }

/** @param active The wanted indexes, by function. */
export function launchWaiting(draft: Draft, active: ReadonlyMap<string, readonly number[]>): void {
  const waiting = draft.state.engineUp ? waitingSlots(draft, active) : []
  const offers = [...draft.state.offers.values()]
  if (offers.length > 0) {
    const parties = partiesOf(waiting)
    const answer = place(parties, offers, (name, agentId) => neighbours(draft, name, agentId))
    launchOn(draft, answer.placed as readonly PlacedParty[], active)
    for (const { fn, slot } of waiting) {
      const why = answer.unplaced.get(nameOf(fn, slot))
      if (why !== undefined) draft.enter(slot, 'waiting', why)
    }
  }
  askForOffers(
    draft,
    waiting.filter(({ slot }) => slot.phase === 'waiting'),
  )
}

function waitingSlots(draft: Draft, active: ReadonlyMap<string, readonly number[]>): Waiting[] {
  const waiting: Waiting[] = []
  for (const [name, indexes] of active) {
    const version = draft.wantedVersion(name)
    if (version === undefined) continue
    const fn = draft.fn(name)
    for (const slot of fn.slots) {
      if (slot.phase !== 'waiting' || !indexes.includes(slot.index)) continue
      waiting.push({ fn, slot, version, sharing: sharingOf(version, slot) })
    }
  }
  return waiting
}

/** Those who may share a runner, together. */
function partiesOf(waiting: readonly Waiting[]): Party[] {
  const alike = Map.groupBy(waiting, ({ fn, slot, sharing }) =>
    sharing === undefined ? nameOf(fn, slot) : `${sharing.group}#${sharing.failures}`,
  )
  return [...alike.values()].flatMap((all) => {
    const parties: Party[] = []
    for (let at = 0; at < all.length; ) {
      const room = all[at]!.sharing?.room ?? 1
      parties.push(partyOf(all.slice(at, at + room), room))
      at += room
    }
    return parties
  })
}

function partyOf(members: readonly Waiting[], room: number): Party {
  const { fn, slot, version, sharing } = members[0]!
  const id = nameOf(fn, slot)
  const { resources } = version.manifest
  if (sharing === undefined) return { id, function: fn.name, resources, members, room: 1 }
  const needs: Resources = resourcesOf(members.map((member) => member.version.manifest.resources))
  const smaller = (): Party[] => {
    if (room > members.length) return [partyOf(members, Math.max(members.length, Math.floor(room / 2)))]
    const half = Math.ceil(members.length / 2)
    return [members.slice(0, half), members.slice(half)].map((part) => partyOf(part, part.length))
  }
  return {
    id,
    function: sharing.group,
    resources: plus(needs, times(resources, room - members.length)),
    members,
    room,
    ...(room > 1 ? { smaller } : {}),
  }
}

/** Instances of a function, or runners of a group, that an agent has. */
function neighbours(draft: Draft, name: string, agentId: string): number {
  let count = 0
  for (const { document, seats } of draft.tasks.values()) {
    if (document.agentId !== agentId) continue
    if (document.group === name || (document.group === undefined && seats[0]?.function === name)) count += 1
  }
  return count
}

function launchOn(
  draft: Draft,
  placed: readonly PlacedParty[],
  active: ReadonlyMap<string, readonly number[]>,
): void {
  const byAgent = Map.groupBy(draft.state.offers.values(), (offer) => offer.agentId)
  const unused: string[] = []
  for (const [agentId, offers] of byAgent) {
    const offerIds = offers.map((offer) => offer.id)
    const here = placed.filter((placement) => placement.agentId === agentId)
    if (here.length === 0) {
      unused.push(...offerIds)
      continue
    }
    draft.act({ kind: 'launch', offerIds, launches: here.map((party) => launch(draft, party, active)) })
  }
  if (unused.length > 0) draft.act({ kind: 'decline', offerIds: unused })
  draft.state.offers = new Map()
}

/** Writes the task and its seats down, under an id that was never used, before it is launched (C1). */
function launch(
  draft: Draft,
  { request, agentId, hostname }: PlacedParty,
  active: ReadonlyMap<string, readonly number[]>,
): Launch {
  const { members, room, resources } = request
  const { fn, slot, sharing } = members[0]!
  const epoch = draft.nextEpoch(fn.name)
  const random = Math.floor(draft.random() * 2 ** 32).toString(36)
  const document: TaskDocument = {
    schema: 2,
    taskId: `${draft.state.namespace}_${fn.name}_${slot.index}_${epoch}_${random}`,
    namespace: draft.state.namespace,
    name: sharing?.group.replace(/^\w+\//, '') ?? nameOf(fn, slot),
    ...(sharing === undefined ? {} : { group: sharing.group }),
    room,
    failures: sharing?.failures ?? 0,
    agentId,
    hostname,
    resources,
    launchedAtMs: draft.nowMs,
  }
  const { taskId } = document
  const task = newTask(document, draft.nowMs, true)
  draft.tasks.set(taskId, task)
  draft.wakeAt(draft.nowMs + timings.launchingSilenceMs)
  draft.act({ kind: 'createTask', document })
  for (const [nth, member] of members.entries()) {
    const { version } = member
    const { name } = member.fn
    const seating = { ...member, taskId, epoch: nth === 0 ? epoch : draft.nextEpoch(name) }
    const shares = freeShares(draft, member.fn, version.manifest, active.get(name) ?? [], member.slot)
    draft.sit(member.slot, task, seatDocument(draft, { ...seating, shares }))
    draft.enter(member.slot, 'launching')
    const message = `${nameOf(member.fn, member.slot)} v${version.version} goes to ${hostname}`
    draft.act({ kind: 'log', level: 'info', message, task: taskId })
  }
  return { document, function: fn.name }
}

/** Offers flow while something waits; one that waits anew, or now wants something else, clears the filters of what was declined. */
function askForOffers(draft: Draft, waiting: readonly Waiting[]): void {
  const { state } = draft
  const ids = new Set(waiting.map(({ fn, slot, version }) => `${nameOf(fn, slot)} v${version.version}`))
  if (!state.engineUp) return
  if (ids.size === 0) {
    if (state.offersWanted !== false) draft.act({ kind: 'wantOffers', wanted: false })
    state.offersWanted = false
  } else {
    const isNew = [...ids].some((id) => !state.revivedFor.has(id))
    if (state.offersWanted !== true || isNew || draft.nowMs >= state.revivedAtMs + timings.reviveAgainMs) {
      draft.act({ kind: 'wantOffers', wanted: true })
      state.offersWanted = true
      state.revivedAtMs = draft.nowMs
    }
    for (const { slot } of waiting) slot.why ??= 'it waits for an offer'
    draft.wakeAt(state.revivedAtMs + timings.reviveAgainMs)
  }
  state.revivedFor = ids
}
