/**
 * Rooms: a folder whose README lists its rooms under "A room imports those below it, and none above" is held to that order.
 *
 *  RM1. A file imports from its own room, from rooms that stand below it in the table, and from the folder itself.
 *  RM2. Every room is in the table.
 * Tests, and what is for tests, may look anywhere.
 * @module
 */
import { dirname, posix } from 'node:path'
import { readImports } from './imports.ts'
import { listFiles, readSource } from './sources.ts'

const promise = 'A room imports those below it, and none above'

/** The rooms of a README that makes the promise, from the top down; undefined: it does not. */
export function roomsOf(readme: string): readonly string[] | undefined {
  const at = readme.indexOf(promise)
  if (at < 0) return undefined
  const rows = readme.slice(at).matchAll(/^\| ((?:`[\w-]+\/`(?:, )?)+) \|/gm)
  return [...rows].flatMap(([, names]) => [...names!.matchAll(/`([\w-]+)\/`/g)].map(([, name]) => name!))
}

/** What offends the order of the folder's rooms. */
export function roomOffences(
  folder: string,
  rooms: readonly string[],
  files: readonly { readonly path: string; readonly source: string }[],
): string[] {
  return files.flatMap(({ path, source }) => {
    const from = roomIn(folder, path)
    if (from === undefined || /\.test\.ts$|\/testing|\/test-/.test(path)) return []
    if (!rooms.includes(from)) return [`${path}: ${folder}/README.md does not list ${from}/`]
    return readImports(source).flatMap((specifier) => {
      if (!specifier.startsWith('.')) return []
      const to = roomIn(folder, posix.join(posix.dirname(path), specifier))
      if (to === undefined || to === from || rooms.indexOf(to) > rooms.indexOf(from)) return []
      return [`${path}: '${specifier}': ${to}/ does not stand below ${from}/ in ${folder}/README.md`]
    })
  })
}

/** Of all folders that make the promise. */
export function allRoomOffences(): string[] {
  return listFiles('**/README.md').flatMap((readme) => {
    const rooms = roomsOf(readSource(readme))
    if (rooms === undefined) return []
    const folder = dirname(readme)
    const files = listFiles(`${folder}/**/*.ts`).map((path) => ({ path, source: readSource(path) }))
    return roomOffences(folder, rooms, files)
  })
}

function roomIn(folder: string, path: string): string | undefined {
  const inside = path.startsWith(`${folder}/`) ? path.slice(folder.length + 1) : ''
  return inside.includes('/') ? inside.split('/')[0] : undefined
}
