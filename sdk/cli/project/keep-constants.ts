/**
 * KeepConstants: makes a bundle's constants constant again. esbuild declares with `var` what stands at the top of a module, and has no
 * switch for it.
 *
 * What nobody assigns to but where it is declared, by `const` or `let`, V8 compiles into the code that uses it; a `var` it
 * reads anew each time. A loop over a table of weights takes an eighth more then (docs/benchmarks/engine.md, tax). `let` is as long as `var`, so
 * every place in the bundle stays where its source map has it.
 *
 *   KC1. Only what the source has as `const` is changed: the source map says where a declaration comes from. Of a package that was compiled
 *        before, and brings a map of its own, the map shows what no bundler has read: it is left as it is.
 *   KC2. Who reads a constant before its module has come to it gets an error, as in the source, and no `undefined`.
 * @module
 */
import { decodedMappings, TraceMap } from '@jridgewell/trace-mapping'

export interface MappedCode {
  readonly code: string
  /** With the text of the sources. */
  readonly sourceMap: string
  /** The sources that were read, by their names in the map (`metafile.inputs`). */
  readonly inputs: ReadonlySet<string>
}

/** A declaration with its value, which one of a module that begins only when it is asked for gets later; not of such a module, nor of a namespace. */
const declaration =
  /var(?: ?[[{]| [\p{ID_Start}$_][\p{ID_Continue}$]* ?=(?! ?(?:__(?:commonJS|esm)\(|\{\};\s*__export\()))/uy
const constant = /(?:export\s+)?const\s(?!\s*enum\s)/y
const lineEnd = /\r\n|[\n\r\u2028\u2029]/ // what esbuild counts
/** It disposes of what a module has declared with `using`; all of the module stands in a block then, out of which a `let` is not seen. */
const disposer = '__callDispose'

/** @returns The code. */
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
