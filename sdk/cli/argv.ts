/**
 * Argv: the essay writes `concord kill -id ID`, with one dash, as its users did; commander knows two.
 * @module
 */

/** Turns the one-dash `-id` of `kill` into `--id`. */
export function normalizeWords(words: readonly string[]): string[] {
  if (words[0] !== 'kill') return [...words]
  return words.map((word) => (word === '-id' || word.startsWith('-id=') ? `-${word}` : word))
}
