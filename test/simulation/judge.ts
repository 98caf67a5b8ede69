/**
 * Judge: checks after every step that CC1 to CC5 of scheduler/core/state/state.ts hold, seen from outside.
 * @module
 */
import type { SeatDocument, TaskDocument } from '../../infra/store/documents.ts'
import type { Action, State } from '../../scheduler/core/index.ts'
import type { LaunchOrder, Offer, Resources } from '../../scheduler/engine.ts'
import type { RunnerModel } from './runner.ts'
import type { StoreModel } from './store.ts'
import { must, Violation } from './violation.ts'

/** @param held The offers that it has been made and has not answered; what the actions answer is taken out. */
export function judgeActions(state: State, actions: readonly Action[], held: Map<string, Offer>): void {
  for (const action of actions) {
    if (action.kind === 'decline') for (const id of action.offerIds) take(held, id)
    if (action.kind !== 'launch') continue
    const offers = action.offerIds.map((id) => take(held, id))
    const wanted = action.launches.map(({ document }) => document)
    for (const what of ['cpus', 'memMib', 'diskMib'] as const)
      must(
        sum(wanted, what) <= sum(offers, what) + 1e-6,
        'only what was offered',
        () => `${wanted[0]?.taskId}: ${sum(wanted, what)} ${what} of ${sum(offers, what)} offered`,
      )
    for (const { agentId } of offers)
      for (const task of wanted)
        must(task.agentId === agentId, 'only what was offered', () => `${task.taskId} goes to another agent`)
  }
  must(
    held.size === 0 && state.offers.size === 0,
    'CC4',
    () => `offers are held: ${[...held.keys()].join(', ')}`,
  )
}

function take(held: Map<string, Offer>, id: string): Offer {
  const offer = held.get(id)
  if (offer === undefined)
    throw new Violation('only what was offered', `${id} is no offer, or was used before`)
  held.delete(id)
  return offer
}

function sum(of: readonly { readonly resources: Resources }[], what: keyof Resources): number {
  return of.reduce((total, { resources }) => total + (resources[what] ?? 0), 0)
}

/** CC1: at the moment at which the cluster is asked. */
export function judgeLaunch(orders: readonly LaunchOrder[], store: StoreModel, launched: Set<string>): void {
  for (const { taskId, resources } of orders) {
    must(!launched.has(taskId), 'launched once', () => `${taskId} was launched before`)
    launched.add(taskId)
    const document = store.get<TaskDocument>('task', taskId)?.value
    must(document !== undefined, 'CC1', () => `${taskId} is launched and not written down`)
    must(
      resources.cpus <= document!.resources.cpus + 1e-9,
      'only what was offered',
      () => `${taskId} is launched on ${resources.cpus} cpus`,
    )
  }
}

/** CC1, CC2 and CC5, as they stand in the store. */
export function judgeSeats(store: StoreModel): void {
  const bySlot = new Map<string, string>()
  const byTask = new Map<string, SeatDocument[]>()
  for (const seat of store.values<SeatDocument>('seat')) {
    for (const share of seat.shares) {
      const key = `${seat.function}/${share}`
      must(!bySlot.has(key), 'CC2', () => `${key} is that of ${bySlot.get(key)} and of ${seat.instance}`)
      bySlot.set(key, seat.instance)
    }
    const mates = byTask.get(seat.taskId)
    if (mates === undefined) byTask.set(seat.taskId, [seat])
    else mates.push(seat)
  }
  for (const [taskId, seats] of byTask) {
    const task = store.get<TaskDocument>('task', taskId)?.value
    if (task === undefined) continue // it has ended; its seats are about to go
    must(seats.length <= task.room, 'CC5', () => `${taskId} has room for ${task.room}, not ${seats.length}`)
    for (const what of ['cpus', 'memMib', 'diskMib'] as const)
      must(
        sum(seats, what) <= task.resources[what] + 1e-6,
        'CC5',
        () => `${taskId}: ${sum(seats, what)} ${what} of ${task.resources[what]}`,
      )
  }
}

/** CC1 and CC2 in earnest: what the runners that the store knows are doing. */
export function judgeRunners(store: StoreModel, runners: Iterable<RunnerModel>): void {
  const working = new Map<string, string>()
  const owners = new Map<string, string>()
  for (const runner of runners) {
    if (!runner.process.isUp || store.get('task', runner.taskId) === undefined) continue
    for (const [id, instance] of runner.instances) {
      must(!working.has(id), 'CC1', () => `${id} is at work in ${working.get(id)} and in ${runner.taskId}`)
      working.set(id, runner.taskId)
      for (const [share, { isServed }] of instance.owns) {
        const key = `${instance.functionName}/${share}`
        if (!isServed) continue
        must(
          !owners.has(key),
          'CC2',
          () => `${key} is worked on by ${owners.get(key)} and by ${instance.name}`,
        )
        owners.set(key, instance.name)
      }
    }
  }
}
