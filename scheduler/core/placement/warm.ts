/**
 * Warm: which empty runners are kept, so that a function that is scaled to zero returns without the launch of a task.
 *
 *   WM1. At most one runner of a group is kept, the fullest. If an instance sits in it, the runner stays anyway.
 * Design: docs/design/0025-autoscaling.md
 * @module
 */

import type { Scope } from '../scope.ts'
import type { Draft } from '../state/draft.ts'
import type { Task } from '../state/state.ts'
import { groupOf } from './packs.ts'

export function warmTasks(draft: Draft, { names, taskIds }: Scope): ReadonlySet<string> {
  const groups = new Set<string>()
  for (const name of names) {
    const manifest = draft.wantedVersion(name)?.manifest
    const wanted = draft.state.wanted.functions.get(name)?.document.instances
    if (manifest?.scale?.idle?.warm === true && wanted === 0) groups.add(groupOf(manifest))
  }
  if (groups.size === 0) return new Set()
  const kept = new Map<string, Task>()
  for (const taskId of taskIds) {
    const task = draft.tasks.get(taskId)
    const group = task?.document.group
    if (task === undefined || group === undefined || !groups.has(group) || task.killedAtMs !== undefined)
      continue
    const before = kept.get(group)
    if (before === undefined || task.seats.length > before.seats.length) kept.set(group, task)
  }
  return new Set([...kept.values()].map(({ document }) => document.taskId))
}
