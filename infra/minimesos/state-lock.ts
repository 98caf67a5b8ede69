/**
 * StateLock: allows one minimesos per state folder; two would adopt the same tasks.
 * @module
 */
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { CodedError } from '../../sdk/errors.ts'
import { identityOf, isAlive, type ProcessIdentity } from './agent/index.ts'
import { readJson, writeJson } from './json-file.ts'

/**
 * Locks a state folder. The lock of a killed holder is void.
 * @returns A function that unlocks it.
 */
export function lockState(stateDir: string): () => void {
  const path = join(stateDir, 'minimesos.pid')
  const holder = readJson<ProcessIdentity>(path)
  if (holder !== undefined && isAlive(holder)) {
    throw new CodedError(
      'ERR_STATE_IN_USE',
      `Cannot use the state folder ${stateDir}: minimesos with pid ${holder.pid} runs on it; stop that one or give --state another folder`,
    )
  }
  writeJson(path, identityOf(process.pid))
  return () => rmSync(path, { force: true })
}
