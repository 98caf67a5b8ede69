/**
 * Constraint: where an instance may run, as a sentence over one attribute of an agent: `zone == a`, `hostname unique`.
 *
 * `hostname` is an attribute that every agent has.
 * @module
 */
export type Constraint = {
  readonly attribute: string
  /** The text, as the author wrote it. */
  readonly text: string
} & (
  | { readonly kind: 'is' | 'isNot'; readonly value: string }
  | { readonly kind: 'in'; readonly values: readonly string[] }
  /** `*` stands for any characters, `?` for one. */
  | { readonly kind: 'like'; readonly pattern: string }
  /** At most so many instances of the function for each value of the attribute; `unique` is `maxPer 1`. */
  | { readonly kind: 'maxPer'; readonly max: number }
  /** The instances are spread evenly over the values, as far as there is room. */
  | { readonly kind: 'groupBy' }
)

export const constraintForms =
  "expected ATTRIBUTE, then '== VALUE', '!= VALUE', 'in VALUE, VALUE', 'like PATTERN', 'unique', 'maxPer N' or 'groupBy'"

/** @returns The constraint; undefined if the text is not one. */
export function parseConstraint(text: string): Constraint | undefined {
  const [, attribute, word, rest = ''] =
    /^\s*([^\s=!,]+)\s*(==|!=|\sin\b|\slike\b|\sunique\b|\smaxPer\b|\sgroupBy\b)\s*(.*?)\s*$/.exec(text) ?? []
  if (attribute === undefined || word === undefined) return undefined
  const said = { attribute, text: text.trim().replaceAll(/\s+/g, ' ') }
  switch (word.trim()) {
    case '==':
      return rest === '' ? undefined : { ...said, kind: 'is', value: rest }
    case '!=':
      return rest === '' ? undefined : { ...said, kind: 'isNot', value: rest }
    case 'in': {
      const values = rest.split(',').map((value) => value.trim())
      return values.includes('') ? undefined : { ...said, kind: 'in', values }
    }
    case 'like':
      return rest === '' ? undefined : { ...said, kind: 'like', pattern: rest }
    case 'unique':
      return rest === '' ? { ...said, kind: 'maxPer', max: 1 } : undefined
    case 'maxPer':
      return /^[1-9]\d{0,5}$/.test(rest) ? { ...said, kind: 'maxPer', max: Number(rest) } : undefined
    default:
      return rest === '' ? { ...said, kind: 'groupBy' } : undefined
  }
}

/**
 * Whether a text matches a pattern. It takes time proportional to the product of their lengths, whatever the pattern.
 */
export function isLike(text: string, pattern: string): boolean {
  let [at, star, mark] = [0, -1, 0]
  let p = 0
  while (at < text.length) {
    if (p < pattern.length && pattern[p] === '*') {
      star = p++
      mark = at
    } else if (p < pattern.length && (pattern[p] === '?' || pattern[p] === text[at])) {
      p++
      at++
    } else if (star >= 0) {
      p = star + 1
      at = ++mark
    } else return false
  }
  while (pattern[p] === '*') p++
  return p === pattern.length
}
