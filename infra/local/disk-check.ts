/**
 * Disk check: whether a folder takes what is written. It is tried: of quotas, inodes, rights and a disk that has become
 * read-only, the number of free bytes says nothing.
 * @module
 */
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

/** More than a process writes at its start. */
const triedBytes = 256 * 1024

/** @returns Why the folder takes nothing; undefined: it does. */
export async function writeRefusal(dir: string): Promise<string | undefined> {
  const file = join(dir, `disk-check.${process.pid}.tmp`)
  try {
    await writeFile(file, Buffer.alloc(triedBytes), { mode: 0o600 })
    return undefined
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    return code === 'ENOSPC' || code === 'EDQUOT' ? `the disk of ${dir} is full` : message
  } finally {
    await rm(file, { force: true }).catch(() => {})
  }
}
