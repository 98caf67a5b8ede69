/**
 * MayStart: whether a platform may be started in a home folder: `node infra/local/may-start.ts [--home DIR]`. Asked
 * before a long set-up, which would be in vain if a platform is up already. Only the lock of `up.ts` decides.
 * @module
 */
import { isAlive } from '../process.ts'
import { runCommand } from './command.ts'
import { readUpFile, upRunning } from './up-file.ts'

await runCommand('start', 0, async ({ home }) => {
  const up = (await readUpFile(home))?.up
  if (up !== undefined && isAlive(up)) throw upRunning(home, up.pid)
  return { mayStart: true }
})
