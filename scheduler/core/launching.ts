/**
 * Launching: gives the offers at hand to the instances that wait, and hands back all the rest at once (C4).
 * @module
 */
import type { TaskDocument } from '../../infra/store/index.ts'
import { freeShares } from './assignments.ts'
import { type Draft, nameOf } from './draft.ts'
import { type Placement, place, type Request } from './placement.ts'
import type { Launch } from './protocol.ts'
import type { FunctionState, Slot } from './state.ts'
import { timings } from './timings.ts'

interface Waiting extends Request {
  readonly fn: FunctionState
  readonly slot: Slot
}

/** @param active The wanted indexes, by function. */
export function launchWaiting(draft: Draft, active: ReadonlyMap<string, readonly number[]>): void {
  const waiting = draft.state.engineUp ? waitingSlots(draft, active) : []
  const offers = [...draft.state.offers.values()]
  if (offers.length > 0) {
    const answer = place(waiting, offers, (name, agentId) => neighbours(draft, name, agentId))
    launchOn(draft, answer.placed as readonly (Placement & { readonly request: Waiting })[], active)
    for (const request of waiting) {
      const why = answer.unplaced.get(request.id)
      if (why !== undefined) draft.enter(request.slot, 'waiting', why)
    }
  }
  askForOffers(
    draft,
    waiting.filter((request) => request.slot.phase === 'waiting'),
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
      waiting.push({ id: nameOf(fn, slot), function: name, resources: version.manifest.resources, fn, slot })
    }
  }
  return waiting
}

function neighbours(draft: Draft, functionName: string, agentId: string): number {
  const slots = draft.functions.get(functionName)?.slots ?? []
  return slots.filter((slot) => slot.task?.document.agentId === agentId).length
}

function launchOn(
  draft: Draft,
  placed: readonly (Placement & { readonly request: Waiting })[],
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
    const launches = here.map((placement) =>
      seatTask(draft, placement, active.get(placement.request.function) ?? []),
    )
    draft.act({ kind: 'launch', offerIds, launches })
  }
  if (unused.length > 0) draft.act({ kind: 'decline', offerIds: unused })
  draft.state.offers = new Map()
}

/** Writes the task down, under an id that was never used, before it is launched (C1). */
function seatTask(
  draft: Draft,
  { request, agentId, hostname }: Placement & { readonly request: Waiting },
  active: readonly number[],
): Launch {
  const { fn, slot } = request
  const version = draft.wantedVersion(fn.name)
  if (version === undefined) throw new Error(`invariant: ${fn.name} waits without a version`)
  const epoch = draft.nextEpoch(fn.name)
  const shares = freeShares(draft, fn, version.manifest, active, slot)
  const random = Math.floor(draft.random() * 2 ** 32).toString(36)
  const document: TaskDocument = {
    schema: 1,
    taskId: `${draft.state.namespace}_${fn.name}_${slot.index}_${epoch}_${random}`,
    namespace: draft.state.namespace,
    function: fn.name,
    version: version.version,
    instance: nameOf(fn, slot),
    index: slot.index,
    epoch,
    agentId,
    hostname,
    resources: request.resources,
    launchedAtMs: draft.nowMs,
    shares,
    told: shares,
  }
  slot.task = { document }
  draft.enter(slot, 'launching')
  draft.wakeAt(draft.nowMs + timings.launchingSilenceMs)
  draft.act({ kind: 'createTask', document })
  draft.act({
    kind: 'log',
    level: 'info',
    message: `${document.instance} v${version.version} goes to ${hostname}`,
    task: document.taskId,
  })
  return { document, version }
}

/** Offers flow while something waits; a new one that waits clears the filters of what was declined before. */
function askForOffers(draft: Draft, waiting: readonly Waiting[]): void {
  const { state } = draft
  const ids = new Set(waiting.map((request) => request.id))
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
    for (const request of waiting) request.slot.why ??= 'it waits for an offer'
    draft.wakeAt(state.revivedAtMs + timings.reviveAgainMs)
  }
  state.revivedFor = ids
}
