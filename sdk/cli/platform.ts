/**
 * Platform: starts scripts of the platform. The command line never imports them: they run on another Node, with
 * native modules. infra/bootstrap/run.mjs does any set-up that is missing, and runs the script under that Node.
 * @module
 */
import { type ChildProcess, execFileSync, type StdioOptions, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { text } from 'node:stream/consumers'
import { CodedError } from '../errors.ts'
import type { Installation } from './command.ts'
import type { CliErrorCode } from './errors.ts'
import { note } from './terminal.ts'

export interface PlatformProcess {
  readonly args: readonly string[]
  readonly stdio: StdioOptions
  readonly env?: Readonly<Record<string, string>>
  /** What the set-up is for. `cluster` also compiles the client of ZooKeeper, once. */
  readonly purpose?: 'platform' | 'cluster'
}

/** Starts a script of the platform in its own process group, so that Ctrl-C reaches it only through this process. */
export function spawnPlatform(
  { root }: Installation,
  script: string,
  options: PlatformProcess,
): ChildProcess {
  const bootstrap = join(root, 'infra', 'bootstrap', 'run.mjs')
  if (!existsSync(bootstrap)) {
    const why = `Cannot run the platform: ${root} holds the command line alone; use the command of a checkout of Concord ('npm install --global .' there)`
    throw new CodedError<CliErrorCode>('ERR_PLATFORM_MISSING', why)
  }
  const words = [bootstrap, '--for', options.purpose ?? 'platform', join(root, script), ...options.args]
  return spawn(process.execPath, words, {
    stdio: options.stdio,
    detached: true,
    env: { ...process.env, ...options.env },
  })
}

/**
 * Runs a script of the platform on a home folder, and hands on what the set-up warns of.
 * @returns Its answer: one JSON line.
 */
export async function askPlatform<T>(
  installation: Installation,
  script: string,
  args: readonly string[],
  verbose = false,
): Promise<T> {
  const child = spawnPlatform(installation, script, { args, stdio: ['ignore', 'pipe', 'pipe'] })
  const [answer, said, code] = await Promise.all([text(child.stdout!), text(child.stderr!), exitOf(child)])
  if (code !== 0)
    throw platformError(lastLineOf(said) || `Cannot run ${script}: it ended with ${code}`, code, said)
  const shown = verbose ? said.trimEnd() : warningsIn(said)
  if (shown !== '') note(shown)
  return JSON.parse(lastLineOf(answer)) as T
}

/** What the bootstrap warns of, such as a build that runs though the sources are newer (setup.mjs); a warning may have lines. */
export function warningsIn(said: string): string {
  let isWarning = false
  const lines = said.split('\n').filter((line) => {
    isWarning = line.startsWith('set-up: ')
      ? line.startsWith('set-up: warning: ')
      : isWarning && !line.startsWith('{')
    return isWarning
  })
  return lines.join('\n').trimEnd()
}

export function lastLineOf(text: string): string {
  return text.trim().split('\n').at(-1) ?? ''
}

/**
 * @param exitCode The exit code of a platform script, which becomes ours (infra/local/command.ts).
 * @param said All that the script said, for `--verbose`.
 */
export function platformError(message: string, exitCode: number, said = ''): CodedError<CliErrorCode> {
  const cause = said.trim() === message || said === '' ? {} : { cause: said.trimEnd() }
  return new CodedError('ERR_PLATFORM_FAILED', message, { ...cause, detail: { exitCode } })
}

/** Waits for a process to end. @returns Its exit code; the bootstrap reports signal n as 128 + n. */
export async function exitOf(child: ChildProcess): Promise<number> {
  if (child.exitCode !== null) return child.exitCode
  return await new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('exit', (code) => resolve(code ?? 1))
  })
}

/** Finds a Node that runs TypeScript directly: this one, the platform's, or another on PATH. */
export function findTypeStrippingNode({ root }: Installation): string {
  const platform = join(
    root,
    '.tools',
    'node24',
    'node_modules',
    `node-${process.platform}-${process.arch}`,
    'bin',
    'node',
  )
  const onPath = (process.env['PATH'] ?? '').split(delimiter).map((folder) => join(folder, 'node'))
  const found = [process.execPath, platform, ...onPath].find(
    (path) => existsSync(path) && stripsTypes(versionOf(path)),
  )
  if (found !== undefined) return found
  const advice = existsSync(join(root, 'infra'))
    ? `run 'npm run bootstrap' in ${root}`
    : 'put a newer one on PATH'
  const why = `Cannot run TypeScript: it takes Node 22.18 or newer, and this is ${process.versions.node}; ${advice}`
  throw new CodedError<CliErrorCode>('ERR_NODE_TOO_OLD', why)
}

function stripsTypes(version: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  return major > 23 || (major === 23 && minor >= 6) || (major === 22 && minor >= 18)
}

function versionOf(path: string): string {
  if (path === process.execPath) return process.versions.node
  return execFileSync(path, ['--version'], { encoding: 'utf8', timeout: 5000 }).trim().slice(1)
}
