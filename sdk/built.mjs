/**
 * Built: whether dist/ is whole and was made of the sources that are here, and the scripts for isolates in it. Plain
 * JavaScript, as in build.mjs.
 * @module
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { inputsDiffer } from './inputs.mjs'
import { isolateScripts } from './isolate-scripts.mjs'

export const root = dirname(dirname(fileURLToPath(import.meta.url)))
export const dist = join(root, 'dist')

/** The source of the command line. */
export const cli = 'sdk/cli/main.ts'

/** Says of what dist/ was made (`inputs`), and which files that made (`outputs`); build.mjs writes it last. */
export const inputsFile = join(dist, 'inputs.json')

/**
 * True if one of the files that buildCode() made is gone, or they were not made of what is here now; nothing is said of dist/types/,
 * which it does not make. Always false where there are no sources.
 */
export function codeIsStale() {
  if (!existsSync(join(root, cli))) return false
  try {
    const { inputs, outputs } = JSON.parse(readFileSync(inputsFile, 'utf8'))
    return !outputs.every((name) => existsSync(join(dist, name))) || inputsDiffer(root, inputs)
  } catch {
    return true // there is none, or it is an earlier build's
  }
}

/** Of what dist/ is made: all sources of the sdk, since types come also from those that no bundle has, and the packages. */
export function inputsOfDist() {
  const sources = readdirSync(join(root, 'sdk'), { recursive: true }).filter((name) => source.test(name))
  return [
    ...sources.map((name) => join('sdk', name)),
    'package-lock.json',
    'tsconfig.json',
    'sdk/tsconfig.types.json',
  ]
}

const source = /(?<!\.test)\.(ts|mjs)$/

/**
 * A script of dist/. If a source has changed, it is built again, which takes a process of esbuild and some 100 ms of
 * CPU.
 */
export async function isolateScript(name) {
  const built = codeIsStale() ? undefined : await readFile(join(dist, name), 'utf8').catch(() => undefined)
  if (built !== undefined) return built
  const { stop } = await import('esbuild')
  const made = await isolateScripts[name]()
  await stop() // otherwise esbuild's service would stay, a process of 10 MB
  return made
}
