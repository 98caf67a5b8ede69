/**
 * Watching: what the last report of a runner changes, and what its silence leads to.
 *
 *   WG1. Nobody is given up for silence while the bus is away, also under a leader that begins then: nobody could be
 *        heard.
 *   WG2. A runner with an instance at work is left to its watchdog, however long it is silent, unless the cluster has
 *        lost sight of it too.
 * @module
 */
import { endReleased, endTask } from './endings.ts'
import { recordTaken } from './partitions/ownership.ts'
import { type Draft, ownerOf } from './state/draft.ts'
import { worksAsTold } from './state/reports.ts'
import type { Task } from './state/state.ts'
import { blame, kill } from './state/stopping.ts'
import { timings } from './state/timings.ts'

/**
 * Applies what a task reports as released or taken, and its time limits: tasks that are silent, lost to the cluster,
 * or do not die when killed.
 */
export function watch(draft: Draft, task: Task): void {
  const { taskId, agentId } = task.document
  if (worksAsTold(task)) {
    task.isKnown = true
    task.leaving = task.leaving.filter((left) => task.assigned?.instances.some(({ id }) => id === left))
  }
  recordTaken(draft, task)
  release(draft, task)
  if (task.unsureSinceMs !== undefined && draft.state.busUp) {
    const heardMs = Math.max(task.unsureSinceMs, task.beatAtMs ?? 0)
    if (draft.isDue(ownerOf(task), heardMs + timings.unsureMs)) {
      kill(draft, task)
      const message = `the cluster lost sight of it and it was silent for ${timings.unsureMs / 1000} s`
      endTask(draft, task, { taskId, condition: 'lost', message })
      return
    }
  }
  const seated = draft.seated(task)
  const phases = new Set(seated.map(({ slot }) => slot.phase))
  if (
    phases.has('launching') &&
    draft.isDue(ownerOf(task), (task.askedAtMs ?? task.sinceMs) + timings.launchingSilenceMs)
  ) {
    task.askedAtMs = draft.nowMs
    draft.wakeAt(ownerOf(task), draft.nowMs + timings.launchingSilenceMs)
    draft.act({ kind: 'reconcile', taskId, agentId })
  }
  if (
    phases.has('starting') &&
    !phases.has('running') &&
    task.killedAtMs === undefined &&
    draft.state.busUp
  ) {
    const startedMs = Math.max(...seated.map(({ slot }) => slot.sinceMs))
    if (draft.isDue(ownerOf(task), Math.max(startedMs, task.beatAtMs ?? 0) + timings.startingSilenceMs))
      blame(draft, task, `it was started and not heard of for ${timings.startingSilenceMs / 1000} s`)
  }
  if (task.killedAtMs !== undefined && draft.isDue(ownerOf(task), task.killedAtMs + timings.killAgainMs))
    kill(draft, task)
}

/** Follows up the draining instances of a packed task: they have been released, or take too long. */
function release(draft: Draft, task: Task): void {
  if (task.document.group === undefined || task.killedAtMs !== undefined) return
  for (const seated of draft.seated(task)) {
    const { slot, seat } = seated
    if (slot.phase !== 'draining') continue
    const { instance, firstEpoch } = seat.document
    const isTold = task.assigned?.instances.some(({ id, epoch }) => id === instance && epoch >= firstEpoch)
    if (worksAsTold(task) && isTold === false) endReleased(draft, task, seated)
    else if (draft.state.busUp && draft.isDue(ownerOf(task), slot.sinceMs + timings.releaseMs)) {
      task.culprit = instance
      return blame(draft, task, `${instance} did not let go within ${timings.releaseMs / 1000} s`)
    }
  }
}
