/**
 * Sandboxes: `sandboxes/TASKID/` is the working folder of a task, with its output in `stdout` and `stderr`.
 *
 *   B1. A sandbox outlives its task, so that it can be read; of those without a task only the newest are kept.
 *   B2. Output that has grown too large is cut to its last part, while the task runs.
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

/** Creates a sandbox and returns its path; a repeated task id gets the container's id appended. */
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

/** Adds a message of the agent to the sandbox. */
export function noteInSandbox(sandbox: string, text: string): void {
  appendFileSync(join(sandbox, 'stderr'), `${text}\n`, { mode: 0o600 })
}

/** The last line of a task's stderr, shortened to its end; empty if there is none, or it may not be read. */
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
 * Cuts `stdout` and `stderr` if they are too large (B2). In place: the task appends to the open files, so later
 * output follows; output at this very moment may be lost.
 */
export function boundOutput(sandbox: string, bytesMax = outputBytesMax, bytesKept = outputBytesKept): void {
  for (const name of ['stdout', 'stderr']) {
    const path = join(sandbox, name)
    const found = lstatSync(path, { throwIfNoEntry: false })
    if (found?.isFile() && found.size > bytesMax) cut(path, found.size, bytesKept)
  }
}

function cut(path: string, bytes: number, bytesKept: number): void {
  // The task owns the folder, so a link that it put there is not followed.
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
