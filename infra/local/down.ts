/**
 * Down: stops the platform of a home folder: `node infra/local/down.ts [--home DIR]`. Stops the running `up`, and ends the processes
 * that a killed one has left. One JSON line on stdout says what was running, and what was lost; null: nobody knows.
 * @module
 */
import { existsSync } from 'node:fs'
import { infraError } from '../errors.ts'
import { endProcess } from '../process.ts'
import { tryHold } from '../store/index.ts'
import { runCommand, type Words } from './command.ts'
import { forgetClient } from './home.ts'
import { endLeftovers } from './leftovers.ts'
import { childGraceMs, emptyMs, taskGraceMs } from './platform.ts'
import { readUpFile, refuseCopy } from './up-file.ts'

/** The longest stop of a platform: the gateway, the schedulers, the tasks that they left, then minimesos; with a margin. */
const stopTimeoutMs = childGraceMs * 2 + emptyMs + taskGraceMs + 10_000

const nothing = {
  ...{ stopped: true, up: false, killed: false, tasks: 0, natsServer: false },
  ...{ killedInstances: [] as readonly string[], tasksLeft: 0 },
}

async function down({ home }: Words): Promise<object> {
  if (!existsSync(home.up)) return { ...nothing, givenUpRecords: 0 }
  const file = await readUpFile(home)
  await refuseCopy(home, file)
  const ended = file && (await endProcess(file.up, stopTimeoutMs))
  const lock = tryHold(home.lock)
  if (lock === undefined) {
    throw infraError(
      'ERR_UP_RUNNING',
      `Cannot stop: another concord up has just started with ${home.root}. Try again`,
    )
  }
  await forgetClient(home)
  const after = await readUpFile(home)
  const leftovers = await endLeftovers(home, after)
  lock.release()
  const lost = {
    givenUpRecords: after?.givenUpRecords ?? null,
    ...(after?.givenUpIsAtMost && { givenUpIsAtMost: true as const }),
    killedInstances: after?.killedInstances ?? null,
    tasksLeft: after?.tasksLeft ?? leftovers.tasks,
  }
  const found = { ...nothing, ...leftovers, ...lost }
  if (ended !== undefined) return { ...found, up: true, killed: ended === 'killed' }
  // Of an up that ended before, what was lost was said when it ended.
  const givenUpRecords = lost.givenUpRecords === null ? null : 0
  const killedInstances = lost.killedInstances === null ? null : []
  const { givenUpIsAtMost: _, ...rest } = found
  return { ...rest, givenUpRecords, killedInstances, tasksLeft: leftovers.tasks }
}

await runCommand('stop', 0, down)
