/**
 * Nearest: finds the known name that was probably meant by a mistyped one.
 * @module
 */

/**
 * The known name closest to `word`, if one is close; of several, one that begins so. A `word` that is the beginning of
 * exactly one name means that name.
 */
export function nearest(word: string, known: readonly string[]): string | undefined {
  const asKey = (text: string) => text.toLowerCase().replaceAll(/[-_]/g, '')
  const begins = (name: string) => asKey(name).startsWith(asKey(word))
  const ranked = known
    .map((name) => ({ name, distance: editDistance(asKey(word), asKey(name)) }))
    .sort((a, b) => a.distance - b.distance || Number(begins(b.name)) - Number(begins(a.name)))
  const best = ranked[0]
  const most = Math.min(Math.max(2, word.length * 0.4), word.length - 1)
  if (best && best.distance <= most) return best.name
  const begun = word.length < 3 ? [] : known.filter(begins)
  return begun.length === 1 ? begun[0] : undefined
}

/** The number of insertions, deletions, replacements and swaps of neighbours that turn `a` into `b`. */
export function editDistance(a: string, b: string): number {
  let beforeLast: number[] = []
  let last = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const replaced = last[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)
      row[j] = Math.min(row[j - 1]! + 1, last[j]! + 1, replaced)
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]
      if (swapped) row[j] = Math.min(row[j]!, beforeLast[j - 2]! + 1)
    }
    beforeLast = last
    last = row
  }
  return last[b.length]!
}
