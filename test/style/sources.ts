/**
 * The files of the tree that are ours, as paths relative to its root.
 * @module
 */
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

export const root = join(import.meta.dirname, '..', '..')

/** Folders that are not ours, are made, or hold what is data to a test or to `concord init`. */
const notOurs = ['node_modules', 'dist', '.tools', '.git', 'testdata', 'template']

export function listFiles(...patterns: string[]): readonly string[] {
  return globSync(patterns, {
    cwd: root,
    exclude: (path) => notOurs.includes(path.split('/').at(-1) ?? ''),
  }).sort()
}

export function readSource(path: string): string {
  return readFileSync(join(root, path), 'utf8')
}
