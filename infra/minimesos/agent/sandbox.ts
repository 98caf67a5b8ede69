/**
 * Sandboxes: `sandboxes/TASKID/`, the working folder of a task, with what it printed in `stdout` and `stderr`.
 *
 *   B1. They outlive their tasks, to be read; of those without a task only the newest are kept.
 *   B2. What a task printed is cut, while it runs, to its last part whenever it has grown too large.
 * @module
 */
import {
  appendFileSync,
  closeSync,
  constants,
  ftruncateSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'

/** How many sandboxes of ended tasks are kept: a function in a crash loop must not fill the disk. */
const keptMax = 100
/** How large `stdout` and `stderr` may grow, and how much of the end is kept then. */
const outputBytesMax = 16 * 1024 * 1024
const outputBytesKept = 1024 * 1024
const lastLineBytesMax = 4096

/** Makes a sandbox and answers its path; an id used before gets the container's id added. */
export function makeSandbox(stateDir: string, taskId: string, containerId: string): string {
  const root = join(stateDir, 'sandboxes')
  mkdirSync(root, { recursive: true, mode: 0o700 })
  const path = join(root, taskId)
  try {
    mkdirSync(path, { mode: 0o700 })
    return path
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    const other = `${path}.${containerId}`
    mkdirSync(other, { mode: 0o700 })
    return other
  }
}

/** For what the agent itself has to say to who reads the sandbox. */
export function noteInSandbox(sandbox: string, text: string): void {
  appendFileSync(join(sandbox, 'stderr'), `${text}\n`, { mode: 0o600 })
}

/** What a task printed last on stderr, of a line at most the end; empty if nothing, or nothing that may be read. */
export function lastLine(sandbox: string): string {
  const path = join(sandbox, 'stderr')
  const found = lstatSync(path, { throwIfNoEntry: false })
  if (!found?.isFile() || found.size === 0) return ''
  const file = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW)
  try {
    const end = Buffer.alloc(Math.min(found.size, lastLineBytesMax))
    const length = readSync(file, end, 0, end.length, found.size - end.length)
    const lines = end.toString('utf8', 0, length).split('\n')
    return lines.findLast((line) => line.trim() !== '')?.trim() ?? ''
  } finally {
    closeSync(file)
  }
}

/** Removes the oldest sandboxes that belong to no task. */
export function pruneSandboxes(stateDir: string, inUse: ReadonlySet<string>, max = keptMax): void {
  const root = join(stateDir, 'sandboxes')
  const ended = readdirSync(root)
    .map((name) => join(root, name))
    .filter((path) => !inUse.has(path))
  if (ended.length <= max) return
  const oldestFirst = ended
    .map((path) => ({ path, changedMs: statSync(path).mtimeMs }))
    .sort((a, b) => a.changedMs - b.changedMs)
  for (const { path } of oldestFirst.slice(0, ended.length - max))
    rmSync(path, { recursive: true, force: true })
}

/**
 * Cuts `stdout` and `stderr` where they are too large (B2). In place: the task appends to the open files, so what it
 * prints next comes behind; what it prints at this very instant may be cut off too.
 */
export function boundOutput(sandbox: string, bytesMax = outputBytesMax, bytesKept = outputBytesKept): void {
  for (const name of ['stdout', 'stderr']) {
    const path = join(sandbox, name)
    const found = lstatSync(path, { throwIfNoEntry: false })
    if (found?.isFile() && found.size > bytesMax) cut(path, found.size, bytesKept)
  }
}

function cut(path: string, bytes: number, bytesKept: number): void {
  // The folder is the task's: a link that it has put there meanwhile is not followed.
  const file = openSync(path, constants.O_RDWR | constants.O_APPEND | constants.O_NOFOLLOW)
  try {
    const end = Buffer.alloc(bytesKept)
    const read = readSync(file, end, 0, bytesKept, bytes - bytesKept)
    ftruncateSync(file)
    writeSync(file, `[${bytes - read} bytes were cut off here]\n`)
    writeSync(file, end, 0, read)
  } finally {
    closeSync(file)
  }
}
