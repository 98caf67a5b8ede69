/**
 * Suggestions: which commands were probably meant by a word that is none where it stands: `logs` for `fn logs`.
 * @module
 */
import type { CliCommand } from './command.ts'
import { nearest } from './nearest.ts'

/** The words behind `concord` of every command that can be run, by its last word. */
function commandsByName(command: CliCommand, words: readonly string[]): Map<string, string[]> {
  const found = new Map<string, string[]>()
  for (const child of command.commands as readonly CliCommand[]) {
    const path = [...words, child.name()]
    const below = child.commands.length > 0 ? commandsByName(child, path) : [[child.name(), [path.join(' ')]]]
    for (const [name, paths] of below as Iterable<[string, string[]]>)
      found.set(name, [...(found.get(name) ?? []), ...paths])
  }
  return found
}

/** The commands of that name, else those of the nearest name, wherever in the tree they are; at worst none. */
export function commandsLike(program: CliCommand, word: string): readonly string[] {
  const known = commandsByName(program, [])
  const name = known.has(word) ? word : nearest(word, [...known.keys()])
  return name === undefined ? [] : known.get(name)!
}

/** `did you mean 'concord fn ls' or 'concord stream ls'?`, or where to look. */
export function didYouMean(commands: readonly string[]): string {
  if (commands.length === 0) return "see 'concord --help'"
  return `did you mean ${commands.map((command) => `'concord ${command}'`).join(' or ')}?`
}
