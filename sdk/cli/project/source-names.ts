/**
 * SourceNames: what the files of a bundle are called in its source map, and so in stack traces and `fn diff`.
 *
 *   SN1. No name holds a folder of the author's machine: the same files have the same names on each.
 *   SN2. Two files never share a name.
 * @module
 */
import { readFileSync } from 'node:fs'
import { dirname, join, relative, sep } from 'node:path'

export interface SourcePlaces {
  /** The project's. */
  readonly folder: string
  /** Where this installation's modules are, from the project. */
  readonly ownDist: string
}

/**
 * Names sources, which are paths from the project, for people: its own as they are, ours by our name, those of
 * packages in node_modules from there on, and others by the package that they belong to.
 */
export function namesOf(sources: readonly string[], { folder, ownDist }: SourcePlaces): string[] {
  const isOutside = (source: string) => source.startsWith('../')
  const taken = new Set(sources.filter((source) => !isOutside(source)))
  return sources.map((source) => {
    if (!isOutside(source)) return source
    let name = source.startsWith(ownDist)
      ? `node_modules/concord/${source.slice(ownDist.length)}`
      : (inNodeModules(source) ?? inPackage(join(folder, source)))
    while (taken.has(name)) name = `~${name}` // SN2
    taken.add(name)
    return name
  })
}

function inNodeModules(source: string): string | undefined {
  const at = source.indexOf('/node_modules/')
  return at < 0 ? undefined : source.slice(at + 1)
}

/** `@acme/shared/src/index.ts`: from the nearest package with a name on. Without one, the file and its folder. */
function inPackage(path: string): string {
  for (let folder = dirname(path); folder !== dirname(folder); folder = dirname(folder)) {
    const name = packageName(folder)
    if (name !== undefined) return [name, ...relative(folder, path).split(sep)].join('/')
  }
  return path.split(sep).slice(-2).join('/')
}

function packageName(folder: string): string | undefined {
  try {
    const { name } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { name?: unknown }
    return typeof name === 'string' && /^(@[\w.-]+\/)?\w[\w.-]*$/.test(name) ? name : undefined
  } catch {
    return undefined // there is none, or none that can be read: the next one above may name it
  }
}
