/**
 * Log file: opens a file that a process appends to for as long as it runs. One that has grown large is put aside first,
 * and replaces the one put aside before: at most two generations lie on the disk.
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
