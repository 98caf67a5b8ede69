/**
 * Reference: writes docs/reference/cli.md from the commands' own definitions. Run it after a change of a command:
 * `node sdk/cli/reference.ts`. A test keeps file and code equal.
 * @module
 */
import { writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { CliCommand } from './command.ts'
import { exitCodeMeanings } from './errors.ts'
import { makeProgram } from './program.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
export const referencePath = fileURLToPath(new URL('../../docs/reference/cli.md', import.meta.url))

export function referenceText(): string {
  const program = makeProgram({ root })
  const leaves = leavesOf(program, [])
  const parts = [
    '# Command line',
    'Made from the code by `node sdk/cli/reference.ts`: change it there.',
    program.description(),
    leaves.map(({ words }) => `- [\`concord ${words.join(' ')}\`](#concord-${words.join('-')})`).join('\n'),
    ...leaves.map(commandText),
    '## Exit codes',
    table(['code', 'means'], Object.entries(exitCodeMeanings)),
    '## Output',
    'Data goes to standard output, everything else to standard error. An error is one line that says what to do; ' +
      '`--verbose` shows the rest. Progress and colour appear on a terminal only; `NO_COLOR` turns colour off.',
    '## Which server',
    'A command that talks to a gateway takes `--url` and `--token-file` or `--token`; else `CONCORD_URL` and ' +
      '`CONCORD_TOKEN` from the environment; else what `concord up` wrote to `client.json` in its state folder ' +
      '(`--home`, `CONCORD_HOME`, `~/.concord`).',
  ]
  return `${parts.join('\n\n')}\n`
}

interface Leaf {
  readonly words: readonly string[]
  readonly command: CliCommand
}

function leavesOf(command: CliCommand, words: readonly string[]): Leaf[] {
  const children = command.commands as readonly CliCommand[]
  const own = children.length === 0 || command.registeredArguments.length > 0 ? [{ words, command }] : []
  return [...own, ...children.flatMap((child) => leavesOf(child, [...words, child.name()]))]
}

function commandText({ words, command }: Leaf): string {
  const help = command.createHelp()
  const usage = ['concord', ...words, command.usage()]
    .join(' ')
    .replace('[options] ', '')
    .replace(/ ?\[options\]$/, '')
  const args = help
    .visibleArguments(command)
    .map((argument) => [`\`${help.argumentTerm(argument)}\``, argument.description])
  const options = help
    .visibleOptions(command)
    .filter(({ long }) => long !== '--help')
    .map((option) => [`\`${option.flags}\``, help.optionDescription(option)] as const)
  return [
    `## concord ${words.join(' ')}`,
    command.description(),
    `    ${usage}`,
    table(['argument or option', 'meaning'], [...args, ...options] as [string, string][]),
    ...(command.examples.length > 0 ? [command.examples.map((line) => `    $ ${line}`).join('\n')] : []),
  ].join('\n\n')
}

function table(heading: readonly [string, string], rows: readonly (readonly [string, string])[]): string {
  const cell = (text: string) => text.replaceAll('|', '\\|')
  return [heading, ['---', '---'], ...rows].map((row) => `| ${row.map(cell).join(' | ')} |`).join('\n')
}

if (process.argv[1] === fileURLToPath(import.meta.url)) writeFileSync(referencePath, referenceText())
