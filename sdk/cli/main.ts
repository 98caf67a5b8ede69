/**
 * Main: runs one command line and returns the exit code. Every error ends here, also one that nobody waited for.
 * @module
 */
import { CommanderError } from 'commander'
import { normalizeWords } from './argv.ts'
import { type Installation, UsageError } from './command.ts'
import { errorDetail, errorLine, exitCodeOf, exitCodes } from './errors.ts'
import { makeProgram } from './program.ts'
import { usageLine } from './suggestions.ts'
import { endWithReader, note } from './terminal.ts'

/** Runs one command line. @returns The exit code. */
export async function run(words: readonly string[], installation: Installation): Promise<number> {
  endWithReader(exitCodes.failed)
  const fail = (error: unknown): number => {
    note(`concord: ${errorLine(error)}`)
    if (words.includes('--verbose')) note(errorDetail(error))
    return exitCodeOf(error)
  }
  process.on('uncaughtException', (error) => process.exit(fail(error)))
  const program = makeProgram(installation)
  try {
    await program.parseAsync(normalizeWords(words), { from: 'user' })
    return Number(process.exitCode ?? exitCodes.ok)
  } catch (error) {
    if (error instanceof UsageError) note(usageLine(program, error))
    if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.ok : exitCodes.usage
    return fail(error)
  }
}
