/**
 * Command: what the commands on a home folder share (cluster.ts, down.ts, print-config.ts …). One JSON line on stdout is the answer, one
 * line on stderr the error; exit codes are those of the command line (docs/errors.md).
 * @module
 */
import { parseArgs } from 'node:util'
import { CodedError, unforeseenText } from '../../sdk/errors.ts'
import { type LoadedConfig, loadConfig } from '../config/index.ts'
import { type InfraErrorCode, infraError } from '../errors.ts'
import { type Home, homeOf } from './home.ts'

export interface Words {
  readonly home: Home
  /** With --home, if it was given. */
  readonly loaded: LoadedConfig
  readonly words: readonly string[]
}

const exitCodes: Readonly<Partial<Record<string, number>>> = {
  ERR_USAGE: 2,
  ERR_MEMBER_UNKNOWN: 4,
  ERR_UP_RUNNING: 5,
  ERR_PORT_TAKEN: 5,
  ERR_NOTHING_UP: 8,
} satisfies Partial<Record<InfraErrorCode, number>>

/**
 * Says why a script ends: the last line on stderr, which the command line repeats. Before it, in JSON, the
 * stack of what nobody expected.
 * @param attempt Such as `start`.
 * @returns The exit code, as the command line has it.
 */
export function sayWhy(error: unknown, attempt: string): number {
  const { message, stack } = error as Error
  if (error instanceof CodedError) {
    process.stderr.write(`${message}\n`)
    return exitCodes[error.code] ?? (error.code.startsWith('ERR_CONFIG') ? 6 : 1)
  }
  process.stderr.write(`${JSON.stringify({ level: 'info', msg: message, stack })}\n`)
  process.stderr.write(`Cannot ${attempt}: ${unforeseenText(error).replaceAll(/\s*\n\s*/g, ' ')}\n`)
  return 1
}

/**
 * Runs a command with its arguments, `[WORD …] [--home DIR]`.
 * @param attempt What it does, such as `stop`.
 * @param wordsMax More of them are a mistake.
 */
export async function runCommand(
  attempt: string,
  wordsMax: number,
  command: (given: Words) => Promise<object>,
): Promise<void> {
  try {
    process.stdout.write(`${JSON.stringify(await command(readWords(wordsMax)))}\n`)
  } catch (error) {
    process.exitCode = sayWhy(error, attempt)
  }
}

function readWords(wordsMax: number): Words {
  try {
    const { values, positionals } = parseArgs({
      options: { home: { type: 'string' } },
      allowPositionals: wordsMax > 0,
    })
    if (positionals.length > wordsMax) throw new Error(`'${positionals[wordsMax]}' is one too many`)
    const loaded = loadConfig({ env: process.env, flags: { home: values.home } })
    return { home: homeOf(loaded.values.home), loaded, words: positionals }
  } catch (cause) {
    if (cause instanceof CodedError) throw cause
    throw infraError('ERR_USAGE', `Cannot read the arguments: ${(cause as Error).message}`, { cause })
  }
}
