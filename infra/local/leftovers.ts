/**
 * Leftovers: ends the processes that a killed `up` has left behind.
 * @module
 */
import { endTasks } from '../minimesos/index.ts'
import { endNatsCluster, endNatsServer } from '../nats/index.ts'
import { endProcess } from '../process.ts'
import type { Home } from './home.ts'
import { isNatsServer } from './nats-servers.ts'
import { childGraceMs, taskGraceMs } from './platform.ts'
import type { UpFile } from './up-file.ts'

/**
 * Ends children that have not noticed, or cannot notice, that their parent is gone; not nats-server, which will be
 * adopted.
 */
export async function endOrphans(file: UpFile | undefined): Promise<void> {
  const orphans = Object.entries(file?.processes ?? {}).filter(([name]) => !isNatsServer(name))
  await Promise.all(orphans.map(([, id]) => endProcess(id, childGraceMs)))
}

/** Ends everything that runs on a home without an `up`. @returns What was ended. */
export async function endLeftovers(
  home: Home,
  file: UpFile | undefined,
): Promise<{ tasks: number; natsServer: boolean }> {
  await endOrphans(file)
  const tasks = await endTasks(home.minimesos, taskGraceMs)
  const ended = [await endNatsServer(home.nats), await endNatsCluster(home.natsCluster)]
  return { tasks, natsServer: ended.includes(true) }
}
