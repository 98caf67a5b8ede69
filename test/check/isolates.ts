/**
 * Isolates: which test files make isolates in their own process, by what they import. Node must start those without its snapshot
 * (isolated-vm's README says why), which costs 50 ms of CPU; the others start with it.
 * @module
 */
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { readImports } from '../style/imports.ts'

/** What a file leads to: what it imports but for types, and the scripts of its threads. */
const leadsTo = new Map<string, readonly string[]>()

/** Whether a file imports isolated-vm, itself or by what it imports. */
export function makesIsolates(file: string): boolean {
  const seen = new Set([file])
  for (const each of seen) {
    for (const specifier of linksOf(each)) {
      if (specifier === 'isolated-vm') return true
      if (specifier.startsWith('.')) seen.add(join(dirname(each), specifier))
    }
  }
  return false
}

function linksOf(file: string): readonly string[] {
  const known = leadsTo.get(file)
  if (known !== undefined) return known
  const isCode = /\.(ts|mjs)$/.test(file) && existsSync(file) // a source within a text imports what is not there
  const source = isCode ? readFileSync(file, 'utf8') : ''
  const scripts = [...source.matchAll(/new URL\(\s*'([^'\n]+\.ts)'/g)].map(([, path]) => `./${path}`)
  const imports = readImports(source).filter(({ isType }) => !isType)
  const links = [...imports.map(({ specifier }) => specifier), ...scripts]
  leadsTo.set(file, links)
  return links
}
