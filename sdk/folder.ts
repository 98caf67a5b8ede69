/**
 * Folder: makes a folder that a person has named, or says in one line why it cannot be made.
 *
 * Node's own `recursive` tries for ever where a file system takes no folders, as /proc.
 * @module
 */
import { mkdirSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { CodedError, type sdkErrors } from './errors.ts'

const reasons: Readonly<Record<string, string>> = {
  ENOENT: 'no folder can be made there',
  ENOTDIR: 'a file is in its way',
  EEXIST: 'a file has that name',
  EACCES: 'you may not write there',
  EROFS: 'that file system can only be read',
  ENOSPC: 'the disk is full',
  ENAMETOOLONG: 'the name is too long',
}

/** Makes a folder and those it lies in. @throws {CodedError} ERR_FOLDER */
export function makeFolder(path: string, mode = 0o777): void {
  try {
    makeWithParents(path, mode)
  } catch (cause) {
    const { code = '', message } = cause as NodeJS.ErrnoException
    const text = `Cannot make the folder ${path}: ${reasons[code] ?? message}; name another one`
    throw new CodedError<keyof typeof sdkErrors>('ERR_FOLDER', text, { cause })
  }
}

function makeWithParents(path: string, mode: number): void {
  if (isFolder(path)) return
  if (dirname(path) !== path) makeWithParents(dirname(path), mode)
  try {
    mkdirSync(path, { mode })
  } catch (error) {
    if (!isFolder(path)) throw error // else somebody has just made it too
  }
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true
}
