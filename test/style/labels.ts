/**
 * Labels: the short names of rules, as in `HO2 of homes.ts`, which the heads of files define and code, tests and
 * documents cite.
 *
 *  LA1. Whoever reads a citation finds the rule: it is in the head of the same file; or of the file that this one tests;
 *       or of a file that the citation names; or it is defined only once.
 *  LA2. The rules of the whole platform (I1 to I8) are defined in docs/design/README.md.
 * So a label that only its own file cites may be short and common. Citations are what stands in parentheses, and what
 * begins a comment or a message.
 * @module
 */
import { basename } from 'node:path'
import { listFiles, readSource } from './sources.ts'

export interface Text {
  readonly path: string
  readonly source: string
}

/** By label: the files that define it. */
export type Definitions = ReadonlyMap<string, readonly string[]>

const rulesOfAll = 'docs/design/README.md'
/** They look like labels. */
const notLabels: ReadonlySet<string> = new Set(['DS2', 'P50', 'P99', 'S0', 'SV1', 'V8', 'X11'])

const label = '[A-Z]{1,2}\\d{1,2}'
const token = new RegExp(`(?<![\\w%.-])${label}(?![\\w-])`, 'g')
const definition = new RegExp(`^(?: \\*|#) +(${label})\\. `, 'gm')
const definitionForAll = new RegExp(`^\\| (${label}) \\|`, 'gm')
const inParentheses = /\([^()]{2,120}\)/g
const beginning = new RegExp(`(?:/\\*\\* |// |['"\`])${label}(?=[.:]| \\*/|$)`, 'gm')
/** How far from a label its file may be named. */
const nearChars = 60

export function definitionsOf(texts: readonly Text[]): Definitions {
  const found = new Map<string, string[]>()
  for (const text of texts)
    for (const name of definedIn(text)) found.set(name, [...(found.get(name) ?? []), text.path])
  return found
}

function definedIn({ path, source }: Text): Set<string> {
  const isOfAll = path === rulesOfAll
  if (path.endsWith('.md') && !isOfAll) return new Set()
  const head = path.endsWith('.ts') ? (/\/\*\*.*?\*\//s.exec(source)?.[0] ?? '') : source
  return new Set([...head.matchAll(isOfAll ? definitionForAll : definition)].map(([, name]) => name!))
}

/** The citations in a text that lead nowhere, or to several places (LA1). */
export function labelOffences({ path, source }: Text, definitions: Definitions): string[] {
  const text = source.replaceAll(/\n *(?:\*|\/\/) +/g, ' ')
  const places = [...text.matchAll(inParentheses), ...text.matchAll(beginning)]
  const offences = places.flatMap(({ 0: around, index }) =>
    [...around.matchAll(token)].flatMap(({ 0: name, index: at }) => {
      const files = definitions.get(name) ?? []
      if (notLabels.has(name) || files.length === 1) return []
      const near = text.slice(Math.max(0, index + at - nearChars), index + at + nearChars)
      if (files.some((file) => isOwn(file, path) || near.includes(basename(file)))) return []
      return [`${path}: ${name} is defined ${files.length === 0 ? 'nowhere' : `in ${files.join(', ')}`}`]
    }),
  )
  return [...new Set(offences)]
}

function isOwn(file: string, path: string): boolean {
  return file === path || file === path.replace(/\.test\.ts$/, '.ts')
}

/** The changelog speaks of what was, and the test of this file makes up its own. */
const leftOut: ReadonlySet<string> = new Set(['CHANGELOG.md', 'test/style/labels.test.ts'])

/** Of the whole tree. */
export function allLabelOffences(): string[] {
  const paths = listFiles('**/*.{ts,mjs,sh,md}').filter((path) => !leftOut.has(path))
  const texts = paths.map((path) => ({ path, source: readSource(path) }))
  const definitions = definitionsOf(texts)
  return texts.flatMap((text) => labelOffences(text, definitions))
}
