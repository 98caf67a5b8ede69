/**
 * JsonFile: the small state files of minimesos. They are written atomically, and not synced, since tasks end with the machine. So after
 * a power cut a file may be empty or torn, and then counts as absent: nothing of what it told has survived.
 * @module
 */
import { readFileSync, renameSync, writeFileSync } from 'node:fs'

/** @returns undefined if it is absent or torn. */
export function readJson<T>(path: string): T | undefined {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as T
  } catch (error) {
    if (error instanceof SyntaxError || (error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

/** Only its owner can read it. */
export function writeJson(path: string, value: unknown): void {
  writeFileSync(`${path}.tmp`, JSON.stringify(value), { mode: 0o600 })
  renameSync(`${path}.tmp`, path)
}
