/**
 * TaskFolder: the state of one task on disk, so that an agent killed at any moment finds it again.
 *
 *     task.json  the record, by the agent            kill  {"deadlineMs"}, by whoever wants the task ended
 *     shim       identity of the shim (S1 of shim.sh)   command, exit, signal  by the shim
 *
 *   F1. The record is written before the shim is started.
 *   F2. Files are written atomically, and readable only by the owner: a record contains the task's environment.
 * @module
 */
import { closeSync, existsSync, mkdirSync, openSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { readJson, writeJson } from '../json-file.ts'
import type { TaskInfo, TaskState, TaskStatus } from '../wire/index.ts'
import { type ProcessIdentity, parseStat } from './process-identity.ts'

export interface TaskRecord {
  readonly schema: 1
  readonly containerId: string
  readonly frameworkId: string
  readonly role: string
  readonly info: TaskInfo
  readonly sandbox: string
  /** Folder of its memory cgroup. */
  readonly cgroup?: string
  readonly shimPid?: number
  /** The state acknowledged last. */
  readonly acknowledged: TaskState
  /** Updates not yet acknowledged, oldest first. */
  readonly pending: readonly TaskStatus[]
  /** The framework is gone, and the task is not reported. */
  readonly discarded?: true
}

/** How the command ended. */
export interface Exit {
  readonly kind: 'status' | 'signal'
  readonly value: number
}

export class TaskFolder {
  readonly path: string

  constructor(path: string) {
    this.path = path
  }

  static all(stateDir: string): TaskFolder[] {
    const dir = tasksDir(stateDir)
    return existsSync(dir) ? readdirSync(dir).map((name) => new TaskFolder(join(dir, name))) : []
  }

  static create(stateDir: string, containerId: string): TaskFolder {
    const path = join(tasksDir(stateDir), containerId)
    mkdirSync(path, { recursive: true, mode: 0o700 })
    return new TaskFolder(path)
  }

  /** The record; undefined if the agent was killed before it wrote one: then nothing was started (F1). Or the power went. */
  readRecord(): TaskRecord | undefined {
    return readJson<TaskRecord>(join(this.path, 'task.json'))
  }

  writeRecord(record: TaskRecord): void {
    writeJson(join(this.path, 'task.json'), record)
  }

  /** Takes the shim's place. True if the shim never started; then it never will (S1 of shim.sh). */
  claim(): boolean {
    try {
      closeSync(openSync(join(this.path, 'shim'), 'wx', 0o600))
      return true
    } catch {
      return false
    }
  }

  get shim(): ProcessIdentity | undefined {
    return parseStat(this.#read('shim') ?? '')
  }

  get command(): ProcessIdentity | undefined {
    return parseStat(this.#read('command') ?? '')
  }

  get exit(): Exit | undefined {
    const [, kind, value] = /^(status|signal) (\d+)\n$/.exec(this.#read('exit') ?? '') ?? []
    return kind === undefined ? undefined : { kind: kind as Exit['kind'], value: Number(value) }
  }

  /** Until when a task that was told to end may end by itself. */
  get killDeadlineMs(): number | undefined {
    return readJson<{ deadlineMs: number }>(join(this.path, 'kill'))?.deadlineMs
  }

  set killDeadlineMs(deadlineMs: number) {
    writeJson(join(this.path, 'kill'), { deadlineMs })
  }

  remove(): void {
    // A process that a killed shim left may still be writing its last file.
    rmSync(this.path, { recursive: true, force: true, maxRetries: 5, retryDelay: 10 })
  }

  #read(name: string): string | undefined {
    try {
      return readFileSync(join(this.path, name), 'utf8')
    } catch {
      return undefined
    }
  }
}

const tasksDir = (stateDir: string): string => join(stateDir, 'tasks')
