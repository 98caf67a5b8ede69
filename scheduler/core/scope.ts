/**
 * Scope: the functions and runners that a plan looks at.
 *
 *   PS1. A scope is closed: it has with each function its runners and the functions that may share a runner with it,
 *        and with each runner all its instances. So a plan reads nothing that a plan of another scope changes, except
 *        offers, agents and the topology.
 *   PS2. Its order is the same as in a plan of everything.
 * @module
 */

import { groupOf, packsOf } from './placement/packs.ts'
import { type Draft, ownerOf } from './state/draft.ts'
import { versionsInForce } from './state/in-force.ts'

export interface Scope {
  readonly names: readonly string[]
  readonly taskIds: readonly string[]
}

/** Everything. */
export function everything(draft: Draft): Scope {
  const names = [...new Set([...draft.functions.keys(), ...draft.state.wanted.functions.keys()])]
  const empty = [...draft.tasks.values()].filter((task) => ownerOf(task) === undefined)
  return scope(draft, names, new Set(empty.map(({ document }) => document.taskId)))
}

/** What this step has changed, what has become due, and what the last plan changed. */
export function whatChanged(draft: Draft): Scope {
  const names = new Set<string>()
  const groups = new Set<string>()
  const taskIds = new Set<string>()
  const packs = packsOf(draft.state.wanted)
  const addTask = (taskId: string): void => {
    const task = draft.tasks.get(taskId)
    if (task === undefined || taskIds.has(taskId)) return
    taskIds.add(taskId)
    for (const seat of task.seats) add(seat.function)
    if (task.document.group !== undefined) addGroup(task.document.group)
  }
  const addGroup = (group: string): void => {
    if (groups.has(group)) return
    groups.add(group)
    for (const name of packs.get(group) ?? []) add(name)
    for (const taskId of draft.groups.get(group) ?? []) addTask(taskId)
  }
  const add = (name: string): void => {
    if (names.has(name)) return
    names.add(name)
    for (const { seat } of draft.functions.get(name)?.slots ?? [])
      if (seat !== undefined) addTask(seat.document.taskId)
    for (const { manifest } of versionsInForce(draft.state.wanted.functions.get(name)))
      if (packs.has(groupOf(manifest))) addGroup(groupOf(manifest))
  }
  for (const name of draft.state.unsettled) if (draft.functions.has(name)) add(name)
  for (const { name } of draft.touched()) add(name)
  for (const [name, atMs] of draft.agenda) if (draft.nowMs >= atMs) add(name)
  for (const taskId of draft.touchedTasks) addTask(taskId)
  return scope(draft, [...names], taskIds)
}

function scope(draft: Draft, names: readonly string[], taskIds: ReadonlySet<string>): Scope {
  const sorted = [...names].sort()
  const seats = sorted
    .flatMap((name) => draft.functions.get(name)?.slots ?? [])
    .flatMap(({ seat }) => seat ?? [])
  const inOrder = new Set(seats.map(({ document }) => document.taskId))
  for (const taskId of [...taskIds].sort()) inOrder.add(taskId)
  return { names: sorted, taskIds: [...inOrder] }
}
