/**
 * Rooms: a folder whose README says "a room imports those below it" of its list is held to that order.
 *
 *  RM1. A file imports from its own room, from rooms that stand below it in the list, and from the folder itself. `import type` goes up,
 *       unless the README says "and none above".
 *  RM2. Every room is in the list.
 *  RM3. Rooms of which it says that they do not import each other do not, in either direction.
 * Tests, benches, and what is for them, may look anywhere.
 * @module
 */
import { dirname, posix } from 'node:path'
import { readImports } from './imports.ts'
import { listFiles, readSource } from './sources.ts'

export interface RoomOrder {
  /** From top to bottom. */
  readonly rooms: readonly string[]
  readonly typesGoUp: boolean
  /** Sets of rooms none of which imports another (RM3). */
  readonly apart: readonly (readonly string[])[]
}

/** What a README promises of its folder's rooms; undefined: nothing. */
export function orderOf(readme: string): RoomOrder | undefined {
  const text = readme.replaceAll(/\s+/g, ' ')
  const promise = /a room imports those below it(,? and none above)?/i.exec(text)
  if (promise === null) return undefined
  return {
    rooms: [...readme.matchAll(/^\| ([^|]+) \|/gm)].flatMap(([, cell]) => namesIn(cell!)),
    typesGoUp: promise[1] === undefined,
    apart: [...text.matchAll(/((?:`[\w-]+\/`[, and]*)+) do not import each other/g)].map(([, list]) =>
      namesIn(list!),
    ),
  }
}

/** What offends the order of the folder's rooms. */
export function roomOffences(
  folder: string,
  { rooms, typesGoUp, apart }: RoomOrder,
  files: readonly { readonly path: string; readonly source: string }[],
): string[] {
  return files.flatMap(({ path, source }) => {
    const from = roomIn(folder, path)
    if (from === undefined || /\.test\.ts$|\/testing|\/test-|\/bench/.test(path)) return []
    if (!rooms.includes(from)) return [`${path}: ${folder}/README.md does not list ${from}/`]
    return readImports(source).flatMap(({ specifier, isType }) => {
      if (!specifier.startsWith('.') || (isType && typesGoUp)) return []
      const to = roomIn(folder, posix.join(posix.dirname(path), specifier))
      if (to === undefined || to === from) return []
      const isApart = apart.some((names) => names.includes(from) && names.includes(to))
      if (!isApart && rooms.indexOf(to) > rooms.indexOf(from)) return []
      return [`${path}: '${specifier}': ${to}/ does not stand below ${from}/ in ${folder}/README.md`]
    })
  })
}

/** Of all folders that make the promise. */
export function allRoomOffences(): string[] {
  return listFiles('**/README.md').flatMap((readme) => {
    const order = orderOf(readSource(readme))
    if (order === undefined) return []
    const folder = dirname(readme)
    const files = listFiles(`${folder}/**/*.ts`).map((path) => ({ path, source: readSource(path) }))
    return roomOffences(folder, order, files)
  })
}

function namesIn(cell: string): string[] {
  return [...cell.matchAll(/`([\w-]+)\/`/g)].map(([, name]) => name!)
}

function roomIn(folder: string, path: string): string | undefined {
  const inside = path.startsWith(`${folder}/`) ? path.slice(folder.length + 1) : ''
  return inside.includes('/') ? inside.split('/')[0] : undefined
}
