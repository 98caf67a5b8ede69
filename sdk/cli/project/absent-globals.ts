/**
 * AbsentGlobals: finds where a bundle uses globals that Node has and an isolate has not. Unit tests and types are green
 * for them, since both are Node's; the first record that gets there would fail.
 *
 * Esbuild knows which identifiers are free: the bundle is made once more with a mark (`define`) in place of each absent
 * global, and the source map says where the marks come from.
 *
 *   AG1. Each name is reported once for a file of the author. What a package uses is reported at once: it is not the
 *        author's to change, and perhaps never reached.
 *   AG2. A file, or a package, that asks for `typeof NAME` anywhere knows that the name may be absent: it is not reported.
 *        To read a member, such as `crypto.subtle`, and go no further is such a question too.
 * @module
 */
import { originalPositionFor, TraceMap } from '@jridgewell/trace-mapping'
import { absentGlobals } from '../../isolate-globals.ts'

/** What is used and absent: one name in a file, or all names in a package (AG1). */
export interface AbsentUse {
  readonly names: readonly string[]
  /** The package; undefined if it is a file of the author. */
  readonly package: string | undefined
  /** The first place: file, line and column. */
  readonly place: string
  /** How many other places there are. */
  readonly more: number
}

/** No global, but as absent: a function is no file. To read it is no question (AG2): it goes to `new URL`. */
const moduleUrl = 'import.meta.url'
const mark = '__concordAbsent_'
/** With what stands before and after it. */
const marked = new RegExp(`(\\btypeof )?\\b${mark}([\\w$]+)([.([]?)`, 'g')

/**
 * What esbuild is to put in place of each absent global.
 * @param script dist/probe-globals.js.
 */
export function absentMarks(script: string): Record<string, string> {
  const names = [...absentGlobals(script), moduleUrl]
  return Object.fromEntries(names.map((name) => [name, mark + name.replaceAll('.', '$')]))
}

interface Use {
  readonly name: string
  readonly source: string
  readonly package: string | undefined
  readonly place: string
  readonly isQuestion: boolean
}

/** Whether a bundle may use one of them: else there is no need to make it again. @param code The bundle without marks. */
export function mayUseAbsent(code: string, marks: Readonly<Record<string, string>>): boolean {
  const words = Object.keys(marks).map((name) => (name === moduleUrl ? name : name.split('.').at(-1)))
  return new RegExp(`\\b(?:${words.join('|')})\\b`).test(code)
}

/** @param code The bundle with marks. @param sourceMap Its source map, as esbuild made it: its names tell files apart. */
export function absentUses(code: string, sourceMap: string): readonly AbsentUse[] {
  const uses = usesIn(code, sourceMap)
  const whose = (use: Use) => use.package ?? use.source
  const asked = new Set(uses.filter((use) => use.isQuestion).map((use) => `${use.name} in ${whose(use)}`))
  const found = new Map<string, Use[]>()
  for (const use of uses) {
    const inFile = `${use.name} in ${whose(use)}`
    if (asked.has(inFile)) continue // AG2
    const key = use.package ?? inFile // AG1
    found.set(key, [...(found.get(key) ?? []), use])
  }
  return [...found.values()].map((all) => ({
    names: [...new Set(all.map(({ name }) => name))],
    package: all[0]!.package,
    place: all[0]!.place,
    more: all.length - 1,
  }))
}

function usesIn(code: string, sourceMap: string): Use[] {
  const map = new TraceMap(sourceMap)
  const useAt = (line: number, { index, 1: question, 2: name, 3: used }: RegExpExecArray): Use[] => {
    const at = originalPositionFor(map, { line, column: index + (question?.length ?? 0) })
    if (at.source === null) return [] // of a helper that esbuild adds
    const what = name!.replaceAll('$', '.')
    return [
      {
        name: what,
        source: at.source,
        package: packageOf(at.source),
        place: `${at.source.replace(/^.*?(?=\bnode_modules\/)/, '')}:${at.line}:${at.column + 1}`,
        isQuestion: question !== undefined || (what.includes('.') && what !== moduleUrl && used === ''),
      },
    ]
  }
  return code
    .split('\n')
    .flatMap((text, index) => [...text.matchAll(marked)].flatMap((found) => useAt(index + 1, found)))
}

function packageOf(source: string): string | undefined {
  return /.*\bnode_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(source)?.[1]
}
