/**
 * Sandboxes: `sandboxes/TASKID/`, the working folder of a task, with what it printed in `stdout` and `stderr`.
 *
 *   B1. They outlive their tasks, to be read; of those without a task only the newest are kept.
 * @module
 */
import { appendFileSync, mkdirSync, readdirSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'

/** How many sandboxes of ended tasks are kept: a function in a crash loop must not fill the disk. */
const keptMax = 100

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
