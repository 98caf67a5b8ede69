/**
 * Starts the shim of a task: detached, so that neither the end of minimesos nor a Ctrl-C at its terminal reaches it.
 * @module
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import { join } from 'node:path'
import { root } from '../../programs.mjs'
import type { CommandInfo } from '../wire/index.ts'
import type { TaskFolder } from './task-folder.ts'

const script = join(root, 'infra/minimesos/agent/shim.sh')

export interface ShimOptions {
  readonly folder: TaskFolder
  readonly sandbox: string
  readonly command: CommandInfo
  readonly environment: Readonly<Record<string, string>>
  /** The `cgroup.procs` to join. */
  readonly procsFile?: string
}

export function spawnShim(options: ShimOptions): ChildProcess {
  const { folder, sandbox, environment } = options
  const files = ['stdout', 'stderr'].map((name) => openSync(join(sandbox, name), 'a', 0o600))
  try {
    const child = spawn(
      '/bin/sh',
      [
        script,
        'supervise',
        folder.path,
        options.procsFile ?? '',
        environment['PATH'] ?? '',
        ...argumentsOf(options.command),
      ],
      // The shim needs tools that the task's PATH may not lead to.
      {
        cwd: sandbox,
        env: { ...environment, PATH: process.env['PATH'] },
        detached: true,
        stdio: ['ignore', ...files],
      },
    )
    child.unref()
    return child
  } finally {
    for (const fd of files) closeSync(fd)
  }
}

/** Without a shell the first argument is the program's name for itself; a POSIX shell cannot set that, so it is dropped. */
function argumentsOf(command: CommandInfo): readonly string[] {
  const value = command.value ?? ''
  return command.shell === false ? [value, ...command.arguments.slice(1)] : ['/bin/sh', '-c', value]
}
