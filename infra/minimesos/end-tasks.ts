/**
 * EndTasks: ends every task in a state folder, whether or not a minimesos runs on it.
 *
 *   E1. Each task is first marked as told to end, so that the agent, now or later, reports TASK_KILLED and no
 *       failure. It ends all the same where that cannot be written, as on a full disk.
 *   E2. A task whose shim has not started yet never will.
 * @module
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { Cgroup, isAlive, type ProcessIdentity, signalGroup, TaskFolder } from './agent/index.ts'
import { agentDirs } from './fleet.ts'

const pollMs = 10
/** How long a SIGKILL may take, and a shim to finish afterwards. */
const killMs = 5_000

/**
 * Ends all tasks: SIGTERM to their groups, SIGKILL to those that live after `graceMs`.
 * @returns How many were alive.
 */
export async function endTasks(stateDir: string, graceMs: number): Promise<number> {
  const deadlineMs = Date.now() + graceMs
  const living = agentDirs(stateDir)
    .flatMap(TaskFolder.all)
    .filter((folder) => {
      if (folder.exit !== undefined) return false
      try {
        folder.killDeadlineMs = deadlineMs
      } catch {} // E1
      return !folder.claim() && processesOf(folder).length > 0
    })
  await Promise.all(living.map((folder) => endTask(folder, graceMs)))
  return living.length
}

async function endTask(folder: TaskFolder, graceMs: number): Promise<void> {
  // A shim that has just started writes its command within milliseconds.
  await until(() => folder.command !== undefined || processesOf(folder).length === 0, killMs)
  if (folder.command !== undefined) signalGroup(folder.command, 'SIGTERM')
  if (!(await until(() => processesOf(folder).length === 0, graceMs))) {
    if (folder.command !== undefined) signalGroup(folder.command, 'SIGKILL')
    await until(() => processesOf(folder).length === 0, killMs)
  }
  const cgroup = folder.readRecord()?.cgroup
  if (cgroup !== undefined) await until(() => new Cgroup(cgroup).tryRemove(), killMs)
}

function processesOf(folder: TaskFolder): readonly ProcessIdentity[] {
  return [folder.shim, folder.command].filter((identity) => identity !== undefined).filter(isAlive)
}

async function until(condition: () => boolean, timeoutMs: number): Promise<boolean> {
  for (const endMs = performance.now() + timeoutMs; !condition(); ) {
    if (performance.now() > endMs) return false
    await sleep(pollMs)
  }
  return true
}
