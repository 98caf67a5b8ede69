/**
 * Layers: a folder whose README says "a layer imports those below it" of its list is held to that order.
 *
 *  LR1. A file imports from its own layer, from layers that stand below it in the list, and from the folder itself. `import type` goes up,
 *       unless the README says "and none above".
 *  LR2. Every layer is in the list.
 *  LR3. Layers of which it says that they do not import each other do not, in either direction.
 * Tests, benches, and what is for them, may look anywhere.
 * @module
 */
import { dirname, posix } from 'node:path'
import { readImports } from './imports.ts'
import { listFiles, readSource } from './sources.ts'

export interface LayerOrder {
  /** From top to bottom. */
  readonly layers: readonly string[]
  readonly typesGoUp: boolean
  /** Sets of layers none of which imports another (LR3). */
  readonly apart: readonly (readonly string[])[]
}

/** What a README promises of its folder's layers; undefined: nothing. */
export function orderOf(readme: string): LayerOrder | undefined {
  const text = readme.replaceAll(/\s+/g, ' ')
  const promise = /a layer imports those below it(,? and none above)?/i.exec(text)
  if (promise === null) return undefined
  return {
    layers: [...readme.matchAll(/^\| ([^|]+) \|/gm)].flatMap(([, cell]) => namesIn(cell!)),
    typesGoUp: promise[1] === undefined,
    apart: [...text.matchAll(/((?:`[\w-]+\/`[, and]*)+) do not import each other/g)].map(([, list]) =>
      namesIn(list!),
    ),
  }
}

/** What offends the order of the folder's layers. */
export function layerOffences(
  folder: string,
  { layers, typesGoUp, apart }: LayerOrder,
  files: readonly { readonly path: string; readonly source: string }[],
): string[] {
  return files.flatMap(({ path, source }) => {
    const from = layerOf(folder, path)
    if (from === undefined || /\.test\.ts$|\/testing|\/test-|\/bench/.test(path)) return []
    if (!layers.includes(from)) return [`${path}: ${folder}/README.md does not list ${from}/`]
    return readImports(source).flatMap(({ specifier, isType }) => {
      if (!specifier.startsWith('.') || (isType && typesGoUp)) return []
      const to = layerOf(folder, posix.join(posix.dirname(path), specifier))
      if (to === undefined || to === from) return []
      const isApart = apart.some((names) => names.includes(from) && names.includes(to))
      if (!isApart && layers.indexOf(to) > layers.indexOf(from)) return []
      return [`${path}: '${specifier}': ${to}/ does not stand below ${from}/ in ${folder}/README.md`]
    })
  })
}

/** Of all folders that make the promise. */
export function allLayerOffences(): string[] {
  return listFiles('**/README.md').flatMap((readme) => {
    const order = orderOf(readSource(readme))
    if (order === undefined) return []
    const folder = dirname(readme)
    const files = listFiles(`${folder}/**/*.ts`).map((path) => ({ path, source: readSource(path) }))
    return layerOffences(folder, order, files)
  })
}

function namesIn(cell: string): string[] {
  return [...cell.matchAll(/`([\w-]+)\/`/g)].map(([, name]) => name!)
}

function layerOf(folder: string, path: string): string | undefined {
  const inside = path.startsWith(`${folder}/`) ? path.slice(folder.length + 1) : ''
  return inside.includes('/') ? inside.split('/')[0] : undefined
}
