/**
 * Reference: writes docs/reference/cli.md from the commands' own definitions. Run it after a change of a command:
 * `node sdk/cli/reference.ts`. A test keeps file and code equal.
 * @module
 */
import { writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { Option } from 'commander'
import { CliCommand } from './command.ts'
import { exitCodeMeanings } from './errors.ts'
import { makeProgram } from './program.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
export const referencePath = fileURLToPath(new URL('../../docs/reference/cli.md', import.meta.url))

export function referenceText(): string {
  const program = makeProgram({ root })
  const leaves = leavesOf(program, [])
  const parts = [
    '# Command line',
    'Generated from the code by `node sdk/cli/reference.ts`; change it there.',
    program.description(),
    leaves.map(linkText).join('\n'),
    ...leaves.map(commandText),
    '## Server options',
    'Every command takes `--verbose`. Commands that talk to a gateway take the others too:',
    sharedText(),
    'Without them, a command uses `CONCORD_URL` and `CONCORD_TOKEN` from the environment, or else what `concord up` wrote to ' +
      '`client.json` in its state folder.',
    '## Exit codes',
    table(['code', 'means'], Object.entries(exitCodeMeanings)),
    '## Output',
    'Data goes to standard output, everything else to standard error. An error is one line that says what to do; ' +
      '`--verbose` shows the stack. What is a fault in Concord says so: please report it. Progress and colour appear only on a terminal; `NO_COLOR` turns colour off. ' +
      'There, control characters in data are shown as `\\xNN`; a pipe gets them as they are.',
  ]
  return `${parts.join('\n\n')}\n`
}

/** Options that are described once, under 'Server options'. */
const shared = ['--verbose', '--url', '--token-file', '--token']

function linkText({ words, command }: Leaf): string {
  return `- [\`concord ${words.join(' ')}\`](#concord-${words.join('-')}): ${firstSentence(command.summary() || command.description())}`
}

function firstSentence(text: string): string {
  return text.replace(/\. .*$/s, '.')
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
  const isClient = help.visibleOptions(command).some(({ long }) => long === '--url')
  const options = help
    .visibleOptions(command)
    .filter(
      ({ long }) => long !== '--help' && !shared.includes(long ?? '') && !(isClient && long === '--home'),
    )
    .map(optionRow)
  const rows = [...args, ...options] as [string, string][]
  return [
    `## concord ${words.join(' ')}`,
    command.description(),
    `    ${usage}${isClient ? ' [server options]' : ''}`,
    ...(rows.length > 0 ? [table(['argument or option', 'meaning'], rows)] : []),
    ...(command.examples.length > 0 ? [command.examples.map((line) => `    $ ${line}`).join('\n')] : []),
  ].join('\n\n')
}

const optionRow = (option: Option): readonly [string, string] => [
  `\`${option.flags}\``,
  new CliCommand().createHelp().optionDescription(option),
]

/** The options of all commands, and of all that talk to a gateway. */
function sharedText(): string {
  const options = new CliCommand().common().talksToServer().options
  return table(['option', 'meaning'], options.map(optionRow))
}

function table(heading: readonly [string, string], rows: readonly (readonly [string, string])[]): string {
  const cell = (text: string) => text.replaceAll('|', '\\|')
  return [heading, ['---', '---'], ...rows].map((row) => `| ${row.map(cell).join(' | ')} |`).join('\n')
}

if (process.argv[1] === fileURLToPath(import.meta.url)) writeFileSync(referencePath, referenceText())
