/**
 * Suggestions: which command was probably meant by a word that is not one where it stands, such as `logs` for `fn
 * logs`. Also turns commander's messages into one line that says what to do.
 * @module
 */

import { nearest } from '../nearest.ts'
import type { CliCommand, UsageError } from './command.ts'

/** The words after `concord` of every command and group, by the last word. */
function commandsByName(command: CliCommand, words: readonly string[]): Map<string, string[]> {
  const found = new Map<string, string[]>()
  for (const child of command.commands as readonly CliCommand[]) {
    const path = [...words, child.name()]
    const own: [string, string[]] = [child.name(), [path.join(' ')]]
    for (const [name, paths] of [own, ...commandsByName(child, path)])
      found.set(name, [...(found.get(name) ?? []), ...paths])
  }
  return found
}

/** What other tools call a command of ours, where the nearest name would lead astray. */
const otherWords: Readonly<Record<string, string>> = {
  delete: 'rm',
  remove: 'rm',
  list: 'ls',
  describe: 'inspect',
  status: 'inspect',
}

/**
 * The commands with that name, else those with the nearest name; none if no name is near.
 * @param group The group in which the word stood: its commands are preferred to the others of the tree.
 */
export function commandsLike(program: CliCommand, word: string, group = program): readonly string[] {
  const all = commandsByName(program, [])
  all.delete(group.name()) // that is where the word stood
  const inGroup = new Map(
    [...all].flatMap(([name, paths]) => {
      const own = paths.filter((words) => `${program.name()} ${words}`.startsWith(`${group.path} `))
      return own.length === 0 ? [] : [[name, own] as const]
    }),
  )
  const meant = otherWords[word] ?? word
  const exact = inGroup.get(meant) ?? all.get(meant)
  if (exact !== undefined) return exact
  for (const known of [inGroup, all]) {
    const name = nearest(word, [...known.keys()])
    if (name !== undefined) return known.get(name)!
  }
  return []
}

/** `did you mean 'concord fn ls' or 'concord stream ls'?`, or where to look. */
export function didYouMean(commands: readonly string[], group = 'concord'): string {
  if (commands.length === 0) return `see '${group} --help'`
  return `did you mean ${commands.map((command) => `'concord ${command}'`).join(' or ')}?`
}

/** Commander's message with a suggestion, in one line. */
export function usageLine(program: CliCommand, { command, message }: UsageError): string {
  const line = message
    .trim()
    .replace(/^error: /, '')
    .replaceAll(/\s*\n\s*/g, ' ')
    .replace(/\.$/, '')
  const [, unknown] = /^unknown command '(.*?)'/.exec(line) ?? []
  if (unknown !== undefined) {
    const meant = didYouMean(commandsLike(program, unknown, command), command.path)
    return `concord: unknown command '${unknown}'; ${meant}`
  }
  const [, negative] = /^unknown option '(-[\d.]+%?)'/.exec(line) ?? []
  if (negative !== undefined)
    return `concord: '${negative}' is below 0, and no number that is meant here can be; see '${command.path} --help'`
  const [instance] = command.name() === 'kill' ? command.args : []
  if (instance !== undefined && line.startsWith("required option '--id <id>'"))
    return `concord: ${line}: say 'concord kill --id ${instance}'`
  if (command.name() === 'produce' && line.startsWith('too many arguments'))
    return `concord: ${line}: a file of records is named with --file; see '${command.path} --help'`
  return `concord: ${line}${line.includes('Did you mean') ? '' : `; see '${command.path} --help'`}`
}
