/**
 * LogFile: opens a file that a process appends to while it runs. A file that has grown large is renamed first,
 * replacing the one renamed before: at most two generations exist.
 * @module
 */
import { openSync, renameSync, statSync } from 'node:fs'

export const logFileBytesMax = 10 * 1024 * 1024

/** @returns A file descriptor, to be closed by the caller once a child has inherited it. */
export function openLogFile(path: string): number {
  const bytes = statSync(path, { throwIfNoEntry: false })?.size ?? 0
  if (bytes > logFileBytesMax) renameSync(path, `${path}.1`)
  return openSync(path, 'a', 0o600)
}
