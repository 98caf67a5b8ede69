/**
 * Launching: gives the offers at hand to waiting instances, and declines the rest at once (CC4).
 *
 * Waiting packed instances are put together, up to the number that a runner is made for. If such a runner fits
 * nowhere, it is tried with less room, and finally in smaller requests.
 * @module
 */
import type { TaskDocument, VersionDocument } from '../../../infra/store/index.ts'
import { type Constraint, parseConstraint } from '../../../sdk/manifest/constraint.ts'
import type { Manifest } from '../../../sdk/manifest/manifest.ts'
import type { Resources } from '../../engine.ts'
import { freeShares } from '../partitions/ownership.ts'
import { type Draft, nameOf, newTask } from '../state/draft.ts'
import { failedAgents } from '../state/failed-agents.ts'
import type { Launch } from '../state/protocol.ts'
import { isWanted } from '../state/roles.ts'
import type { AgentSeen, FunctionState, Slot, Task, Wanted } from '../state/state.ts'
import { timings } from '../state/timings.ts'
import type { Resident } from './census.ts'
import { seatDocument } from './new-seat.ts'
import { resourcesOf, type Sharing, sharingOf } from './packs.ts'
import { capacityKey, type Placement, type PlacementAnswer, place, type Request } from './placement.ts'
import { minus, noResources, plus, times } from './resources.ts'
import type { Want } from './want.ts'

export interface Waiting {
  readonly fn: FunctionState
  readonly slot: Slot
  readonly version: VersionDocument
  readonly sharing: Sharing | undefined
  /** The agent on which room is being made for it; undefined: none is, or it did not come in time. */
  readonly comesOn: string | undefined
}

/** A runner to launch, with its first instances. */
export interface LaunchRequest extends Request {
  readonly members: readonly Waiting[]
  readonly room: number
}

type PlacedLaunch = Placement & { readonly request: LaunchRequest }

/**
 * @param names The functions to look at, sorted. If there are offers, this includes every function with waiting
 *   instances.
 * @returns The requests that still wait.
 */
export function launchWaiting(draft: Draft, names: readonly string[]): LaunchRequest[] {
  const waiting = draft.state.engineUp ? waitingSlots(draft, names) : []
  const requests = waiting.length === 0 ? [] : launchRequestsOf(waiting, peersOf(draft.state.wanted))
  const offers = [...draft.state.offers.values()]
  if (offers.length > 0) {
    const answer = place(requests, offers, residentsOf(draft), budgetOf(draft), failedAgents(draft))
    remember(draft, answer)
    launchOn(draft, answer.placed as readonly PlacedLaunch[])
    for (const { fn, slot } of waiting) {
      const why = answer.unplaced.get(nameOf(fn, slot))
      if (why !== undefined && !isSameReason(why, slot.why)) draft.enter(slot, 'waiting', why)
    }
  }
  askForOffers(
    draft,
    names,
    waiting.filter(({ slot }) => slot.phase === 'waiting'),
  )
  return requests.filter(({ members }) => members.some(({ slot }) => slot.phase === 'waiting'))
}

/**
 * Whether two reasons differ only in the number of offers: on a busy master every change of that number would be a
 * write to the store.
 */
function isSameReason(why: string, before: string | undefined): boolean {
  return before !== undefined && reasonOf(why) === reasonOf(before)
}

function reasonOf(why: string): string {
  return why.replace(/^\d+ offers? seen/, '')
}

function isWaiting(slot: Readonly<Slot>): boolean {
  return slot.phase === 'waiting' && isWanted(slot)
}

function waitingSlots(draft: Draft, names: readonly string[]): Waiting[] {
  const waiting: Waiting[] = []
  for (const name of names) {
    if (draft.functions.get(name)?.slots.some(isWaiting) !== true) continue
    const fn = draft.fn(name)
    for (const slot of fn.slots.filter(isWaiting)) {
      const version = draft.versionAt(name, slot.index)
      const { room } = slot
      const comesOn = room !== undefined && draft.nowMs < room.untilMs ? room.agentId : undefined
      if (version !== undefined)
        waiting.push({ fn, slot, version, sharing: sharingOf(version, slot), comesOn })
    }
  }
  return waiting
}

/** What tasks take together. */
export function takenBy(tasks: Iterable<Pick<Task, 'document'>>): Resources {
  let taken = noResources
  for (const { document } of tasks) taken = plus(taken, document.resources)
  return taken
}

/** What is left of the quota; undefined without one. */
export function budgetOf(draft: Readonly<Draft>): Partial<Resources> | undefined {
  const { quota } = draft.state
  if (Object.keys(quota).length === 0) return undefined
  const left = minus({ ...noResources, ...quota }, takenBy(draft.tasks.values()))
  const kinds = Object.keys(quota) as (keyof Resources)[]
  return Object.fromEntries(kinds.map((kind) => [kind, left[kind]]))
}

/** Remembers what agents have left: for making room, and to tell people. */
function remember(draft: Draft, { left }: PlacementAnswer): void {
  const agents = new Map<string, AgentSeen>()
  const since = draft.nowMs - timings.agentForgottenMs
  for (const [agentId, seen] of draft.state.agents) if (seen.seenAtMs >= since) agents.set(agentId, seen)
  for (const { agentId, hostname, attributes = {} } of draft.state.offers.values()) {
    const free = left.get(agentId)
    if (free !== undefined)
      agents.set(agentId, { agentId, hostname, attributes, free, seenAtMs: draft.nowMs })
  }
  draft.state.agents = agents
}

/** Agents with what they had free, as far as that was seen lately enough to be trusted. */
export function agentsSeen(draft: Readonly<Draft>): Map<string, AgentSeen> {
  const since = draft.nowMs - timings.agentSeenMs
  return new Map([...draft.state.agents].filter(([, { seenAtMs }]) => seenAtMs > since))
}

/** All runners with their agents. */
export function* residentsOf(draft: Draft): Iterable<Resident> {
  for (const task of draft.tasks.values()) yield residentOf(task)
}

function residentOf({ document, seats }: Readonly<Task>): Resident {
  const { agentId, hostname, attributes = {}, group, resources } = document
  const counts = new Map<string, number>()
  for (const seat of seats) counts.set(seat.function, (counts.get(seat.function) ?? 0) + 1)
  return {
    ...{ agentId, hostname, attributes, resources },
    spread: group ?? seats[0]?.function ?? '',
    instances: [...counts].map(([name, count]) => ({ function: name, count })),
  }
}

/** Memo: a reading of the store never changes. */
const peers = new WeakMap<Wanted, ReadonlyMap<string, readonly string[]>>()

/** By function: the functions that it exchanges records with. */
function peersOf(wanted: Wanted): ReadonlyMap<string, readonly string[]> {
  const found = peers.get(wanted) ?? findPeers(wanted)
  peers.set(wanted, found)
  return found
}

function findPeers({ functions }: Wanted): ReadonlyMap<string, readonly string[]> {
  const manifests = [...functions.values()].flatMap(
    ({ document, versions }) => versions.get(document.version)?.manifest ?? [],
  )
  const [readers, writers] = [new Map<string, string[]>(), new Map<string, string[]>()]
  const note = (to: Map<string, string[]>, stream: string, name: string) =>
    to.set(stream, [...(to.get(stream) ?? []), name])
  for (const { name, istreams, ostreams } of manifests) {
    for (const stream of Object.keys(istreams)) note(readers, stream, name)
    for (const stream of ostreams) note(writers, stream, name)
  }
  return new Map(
    manifests.map(({ name, istreams, ostreams }) => {
      const peers = [
        ...Object.keys(istreams).flatMap((stream) => writers.get(stream) ?? []),
        ...ostreams.flatMap((stream) => readers.get(stream) ?? []),
      ]
      return [name, [...new Set(peers)].filter((peer) => peer !== name)]
    }),
  )
}

const parsed = new WeakMap<Manifest, readonly Constraint[]>()

function constraintsOf(manifest: Manifest): readonly Constraint[] {
  const texts = manifest.placement?.constraints ?? []
  const found = parsed.get(manifest) ?? texts.flatMap((text) => parseConstraint(text) ?? [])
  parsed.set(manifest, found)
  return found
}

/** What instances of a function require of their agent. */
export function wantOf(manifest: Manifest, count: number, peers: readonly string[]): Want {
  return { function: manifest.name, count, constraints: constraintsOf(manifest), peers }
}

/** Groups the waiting instances that may share a runner and require the same of their agent. */
function launchRequestsOf(
  waiting: readonly Waiting[],
  peers: ReadonlyMap<string, readonly string[]>,
): LaunchRequest[] {
  const alike = Map.groupBy(waiting, ({ fn, slot, sharing, version }) =>
    sharing === undefined
      ? nameOf(fn, slot)
      : `${sharing.group}#${sharing.failures}#${JSON.stringify(version.manifest.placement)}`,
  )
  return [...alike.values()].flatMap((all) => {
    const requests: LaunchRequest[] = []
    for (let at = 0; at < all.length; ) {
      const room = all[at]!.sharing?.room ?? 1
      requests.push(launchRequestOf(all.slice(at, at + room), room, peers))
      at += room
    }
    return requests
  })
}

function launchRequestOf(
  members: readonly Waiting[],
  room: number,
  peers: ReadonlyMap<string, readonly string[]>,
): LaunchRequest {
  const { fn, slot, version, sharing, comesOn } = members[0]!
  const { resources } = version.manifest
  const byFunction = Map.groupBy(members, (member) => member.fn.name)
  const wants = [...byFunction].map(([name, some]) =>
    wantOf(some[0]!.version.manifest, some.length, peers.get(name) ?? []),
  )
  const request = {
    ...{ id: nameOf(fn, slot), wants, members, room },
    priority: version.manifest.placement?.priority ?? 0,
    ...(comesOn === undefined ? {} : { comesOn }),
  }
  if (sharing === undefined) return { ...request, spread: fn.name, resources, alike: version }
  const needs: Resources = resourcesOf(members.map((member) => member.version.manifest.resources))
  const smaller = (): LaunchRequest[] => {
    if (room > members.length)
      return [launchRequestOf(members, Math.max(members.length, Math.floor(room / 2)), peers)]
    const half = Math.ceil(members.length / 2)
    return [members.slice(0, half), members.slice(half)].map((part) =>
      launchRequestOf(part, part.length, peers),
    )
  }
  return {
    ...request,
    spread: sharing.group,
    resources: plus(needs, times(resources, room - members.length)),
    ...(room > 1 ? { smaller } : {}),
  }
}

function launchOn(draft: Draft, placed: readonly PlacedLaunch[]): void {
  const byCapacity = Map.groupBy(draft.state.offers.values(), capacityKey)
  const placedIn = Map.groupBy(placed, (placement) => placement.capacity)
  const unused: string[] = []
  for (const [key, offers] of byCapacity) {
    const offerIds = offers.map((offer) => offer.id)
    const here = placedIn.get(key)
    if (here === undefined) {
      unused.push(...offerIds)
      continue
    }
    draft.act({ kind: 'launch', offerIds, launches: here.map((each) => launch(draft, each)) })
  }
  if (unused.length > 0) draft.act({ kind: 'decline', offerIds: unused })
  draft.state.offers = new Map()
}

/** Writes the task and its seats to the store, under an id that was never used, and then launches it (CC1). */
function launch(
  draft: Draft,
  { request, place: { agentId, hostname, attributes }, why }: PlacedLaunch,
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
    ...(Object.keys(attributes).length === 0 ? {} : { attributes }),
    placed: why,
    resources,
    launchedAtMs: draft.nowMs,
  }
  const { taskId } = document
  const task = newTask(document, draft.nowMs, true)
  draft.addTask(task)
  draft.wakeAt(fn.name, draft.nowMs + timings.launchingSilenceMs)
  draft.act({ kind: 'createTask', document })
  for (const [nth, member] of members.entries()) {
    const { version } = member
    const { name } = member.fn
    const newSeat = { ...member, taskId, epoch: nth === 0 ? epoch : draft.nextEpoch(name) }
    const shares = freeShares(draft, member.fn, version.manifest, member.slot)
    draft.sit(member.slot, task, seatDocument(draft, { ...newSeat, shares }))
    draft.enter(member.slot, 'launching')
    delete member.slot.room
    const message = `${nameOf(member.fn, member.slot)} v${version.version} goes to ${hostname}`
    draft.act({ kind: 'log', level: 'info', message, task: taskId })
  }
  return { document, function: fn.name }
}

/**
 * Asks for offers while instances wait. If another instance waits, or requires something else, the filters of earlier
 * declines are cleared: otherwise the master withholds those agents.
 */
function askForOffers(draft: Draft, names: readonly string[], waiting: readonly Waiting[]): void {
  const { state } = draft
  if (!state.engineUp) return
  const asked = new Map(state.revivedFor)
  for (const name of names) asked.delete(name)
  const byFunction = Map.groupBy(waiting, ({ fn }) => fn.name)
  for (const [name, some] of byFunction)
    asked.set(
      name,
      some.map(({ fn, slot, version }) => `${nameOf(fn, slot)} v${version.version}`),
    )
  if (asked.size === 0) {
    if (state.offersWanted !== false) draft.act({ kind: 'wantOffers', wanted: false })
    state.offersWanted = false
  } else {
    const isNew = [...byFunction.keys()].some((name) => {
      const before = new Set(state.revivedFor.get(name))
      return asked.get(name)!.some((id) => !before.has(id))
    })
    if (state.offersWanted !== true || isNew || draft.nowMs >= state.revivedAtMs + timings.reviveAgainMs) {
      draft.act({ kind: 'wantOffers', wanted: true })
      state.offersWanted = true
      state.revivedAtMs = draft.nowMs
      for (const name of asked.keys()) draft.wakeAt(name, draft.nowMs + timings.makeRoomMs) // MR1 of preemption.ts
    }
    for (const { slot } of waiting) slot.why ??= 'it waits for an offer'
    draft.wakeAt(undefined, state.revivedAtMs + timings.reviveAgainMs)
  }
  state.revivedFor = asked
}
