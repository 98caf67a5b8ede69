/**
 * Leftovers: what an `up` that was killed has left behind.
 * @module
 */
import { endTasks } from '../minimesos/index.ts'
import { endNatsServer } from '../nats/index.ts'
import { endProcess } from '../process.ts'
import type { Home } from './home.ts'
import { childGraceMs, natsServerName, taskGraceMs } from './platform.ts'
import type { UpFile } from './up-file.ts'

/** Ends children that have not seen yet, or cannot see, that their parent is gone. nats-server is to be adopted. */
export async function endOrphans(file: UpFile | undefined): Promise<void> {
  const orphans = Object.entries(file?.processes ?? {}).filter(([name]) => name !== natsServerName)
  await Promise.all(orphans.map(([, id]) => endProcess(id, childGraceMs)))
}

/** Ends all that runs on a home without an `up`. @returns What there was to end. */
export async function endLeftovers(
  home: Home,
  file: UpFile | undefined,
): Promise<{ tasks: number; natsServer: boolean }> {
  await endOrphans(file)
  const tasks = await endTasks(home.minimesos, taskGraceMs)
  return { tasks, natsServer: await endNatsServer(home.nats) }
}
