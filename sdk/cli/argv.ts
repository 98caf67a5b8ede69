/**
 * Argv: accepts `concord kill -id ID` with one dash, as the Concord of 2016 did; commander expects two.
 * @module
 */

/** Turns the one-dash `-id` of `kill` into `--id`. */
export function normalizeWords(words: readonly string[]): string[] {
  if (words[0] !== 'kill') return [...words]
  return words.map((word) => (word === '-id' || word.startsWith('-id=') ? `-${word}` : word))
}
