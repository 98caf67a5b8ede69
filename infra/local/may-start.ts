/**
 * Whether a platform may be started in a home folder: `node infra/local/may-start.ts [--home DIR]`. Asked before a set-up that takes long, and
 * is of no use where one is up already. The lock of `up.ts` is what counts.
 * @module
 */
import { isAlive } from '../process.ts'
import { runCommand } from './command.ts'
import { readUpFile, upRunning } from './up-file.ts'

await runCommand(0, async ({ home }) => {
  const up = (await readUpFile(home))?.up
  if (up !== undefined && isAlive(up)) throw upRunning(home, up.pid)
  return { mayStart: true }
})
