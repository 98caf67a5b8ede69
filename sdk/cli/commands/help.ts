/**
 * concord help [command …]: the same as `--help` after the command.
 * @module
 */
import { CodedError } from '../../errors.ts'
import type { CliCommand } from '../command.ts'
import type { CliErrorCode } from '../errors.ts'
import { commandsLike, didYouMean } from '../suggestions.ts'
import { print } from '../terminal.ts'

export function addHelp(program: CliCommand): void {
  program
    .command('help')
    .description('Show the help of a command.')
    .argument('[command...]', 'the command (default: list all commands)')
    .example('concord help fn deploy')
    .common()
    .action((words: readonly string[]) => print(commandOf(program, words).helpInformation().trimEnd()))
}

function commandOf(program: CliCommand, words: readonly string[]): CliCommand {
  let command = program
  for (const word of words) {
    const next = (command.commands as readonly CliCommand[]).find((child) => child.name() === word)
    if (next === undefined) {
      const text = `Cannot show the help of '${words.join(' ')}': there is no such command; ${didYouMean(commandsLike(program, word))}`
      throw new CodedError<CliErrorCode>('ERR_USAGE', text)
    }
    command = next
  }
  return command
}
