/**
 * Command: what the commands on a home folder share (cluster.ts, down.ts). One JSON line on stdout is the answer, one
 * line on stderr the error; exit codes are those of the command line (docs/errors.md).
 * @module
 */
import { parseArgs } from 'node:util'
import { CodedError } from '../../sdk/errors.ts'
import { loadConfig } from '../config/index.ts'
import { type InfraErrorCode, infraError } from '../errors.ts'
import { type Home, homeOf } from './home.ts'

export interface Words {
  readonly home: Home
  readonly words: readonly string[]
}

const exitCodes: Readonly<Partial<Record<string, number>>> = {
  ERR_USAGE: 2,
  ERR_MEMBER_UNKNOWN: 4,
  ERR_UP_RUNNING: 5,
  ERR_PORT_TAKEN: 5,
  ERR_NOTHING_UP: 8,
} satisfies Partial<Record<InfraErrorCode, number>>

/** As the command line has it. */
export function exitCodeOf({ code }: CodedError): number {
  return exitCodes[code] ?? (code.startsWith('ERR_CONFIG') ? 6 : 1)
}

/** Runs a command with its arguments, `[WORD …] [--home DIR]`. @param wordsMax More of them are a mistake. */
export async function runCommand(
  wordsMax: number,
  command: (given: Words) => Promise<object>,
): Promise<void> {
  try {
    process.stdout.write(`${JSON.stringify(await command(readWords(wordsMax)))}\n`)
  } catch (error) {
    if (!(error instanceof CodedError)) throw error
    process.stderr.write(`${error.message}\n`)
    process.exitCode = exitCodeOf(error)
  }
}

function readWords(wordsMax: number): Words {
  try {
    const { values, positionals } = parseArgs({
      options: { home: { type: 'string' } },
      allowPositionals: wordsMax > 0,
    })
    if (positionals.length > wordsMax) throw new Error(`'${positionals[wordsMax]}' is one too many`)
    const { home } = loadConfig({ env: process.env, flags: { home: values.home } }).values
    return { home: homeOf(home), words: positionals }
  } catch (cause) {
    if (cause instanceof CodedError) throw cause
    throw infraError('ERR_USAGE', `Cannot read the arguments: ${(cause as Error).message}`, { cause })
  }
}
