/**
 * KeepConstants: makes the constants of a bundle constant again. Esbuild declares everything at the top level of a
 * module with `var`, and has no option against it.
 *
 * V8 compiles the value of a `const` or `let` that is never assigned into the code that uses it, but reads a `var`
 * each time: a loop over a table of weights takes an eighth longer (docs/benchmarks/engine.md, tax). `let` has as
 * many characters as `var`, so the source map stays valid.
 *
 *   KC1. Only what is `const` in the source is changed; the source map says where a declaration comes from. A package
 *        that was compiled before, and has a source map of its own, is left as it is: its map shows sources that the
 *        bundler has not read.
 *   KC2. Code that reads a constant before its module was evaluated gets an error, as in the source, and not
 *        `undefined`.
 * @module
 */
import { decodedMappings, TraceMap } from '@jridgewell/trace-mapping'

export interface MappedCode {
  readonly code: string
  /** The source map, which contains the sources. */
  readonly sourceMap: string
  /** The names of the sources that were read, as in the map (`metafile.inputs`). */
  readonly inputs: ReadonlySet<string>
}

/**
 * A declaration with a value. Not those that esbuild assigns later: of modules that are evaluated lazily, and of
 * namespaces.
 */
const declaration =
  /var(?: ?[[{]| [\p{ID_Start}$_][\p{ID_Continue}$]* ?=(?! ?(?:__(?:commonJS|esm)\(|\{\};\s*__export\()))/uy
const constant = /(?:export\s+)?const\s(?!\s*enum\s)/y
const lineEnd = /\r\n|[\n\r\u2028\u2029]/ // the line ends that esbuild counts
/**
 * Esbuild's helper for `using`. It puts the whole module into a block, outside of which a `let` would not be visible.
 */
const disposer = '__callDispose'

/** @returns The code with `let` in place of `var`. */
export function keepConstants({ code, sourceMap, inputs }: MappedCode): string {
  if (code.includes(disposer)) return code
  const map = new TraceMap(sourceMap)
  const mappings = decodedMappings(map)
  const sources = (map.sourcesContent ?? []).map((text, i) =>
    inputs.has(map.sources[i] ?? '') ? text?.split(lineEnd) : undefined,
  )
  const kept = (line: string, index: number): string => {
    let text = ''
    let from = 0
    for (const [at, source = -1, sourceLine = -1, column = 0] of mappings[index] ?? []) {
      if (at < from || !isAt(declaration, line, at)) continue
      if (!isAt(constant, sources[source]?.[sourceLine] ?? '', column)) continue
      text += `${line.slice(from, at)}let`
      from = at + 'let'.length
    }
    return text + line.slice(from)
  }
  return code.split('\n').map(kept).join('\n')
}

function isAt(sticky: RegExp, text: string, at: number): boolean {
  sticky.lastIndex = at
  return sticky.test(text)
}
