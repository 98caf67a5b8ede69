/**
 * Stops the platform of a home folder: `node infra/local/down.ts [--home DIR]`. Asks the `up` that runs; ends what one
 * that was killed has left. One JSON line on stdout says what there was.
 * @module
 */
import { existsSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { CodedError } from '../../sdk/errors.ts'
import { loadConfig } from '../config/index.ts'
import { infraError } from '../errors.ts'
import { endProcess } from '../process.ts'
import { tryLock } from '../store/index.ts'
import { homeOf } from './home.ts'
import { endLeftovers } from './leftovers.ts'
import { childGraceMs, taskGraceMs } from './platform.ts'
import { readUpFile } from './up-file.ts'

/** What a platform may take to stop: the gateway, then the tasks, then minimesos; and a little. */
const stopTimeoutMs = childGraceMs * 2 + taskGraceMs + 10_000

async function main(): Promise<void> {
  const { values: flags } = parseFlags()
  const home = homeOf(loadConfig({ env: process.env, flags: { home: flags.home } }).values.home)
  if (!existsSync(home.up)) return say({ stopped: true, up: false, tasks: 0, natsServer: false })
  const file = await readUpFile(home)
  const up = file !== undefined && (await endProcess(file.up, stopTimeoutMs))
  const lock = tryLock(home.lock)
  if (lock === undefined) {
    throw infraError(
      'ERR_UP_RUNNING',
      `Cannot stop: another concord up has just started with ${home.root}. Try again`,
    )
  }
  const after = await readUpFile(home)
  const givenUpRecords = up ? after?.givenUpRecords : undefined
  say({ stopped: true, up, ...(await endLeftovers(home, after)), givenUpRecords })
  lock.release()
}

function parseFlags() {
  try {
    return parseArgs({ options: { home: { type: 'string' } } })
  } catch (cause) {
    throw infraError('ERR_USAGE', `Cannot stop: ${(cause as Error).message}`, { cause })
  }
}

function say(what: object): void {
  process.stdout.write(`${JSON.stringify(what)}\n`)
}

try {
  await main()
} catch (error) {
  if (!(error instanceof CodedError)) throw error
  process.stderr.write(`${error.message}\n`)
  process.exitCode = error.code === 'ERR_USAGE' ? 2 : 1
}
