/**
 * Built: whether dist/ is as new as its sources, and the scripts for isolates in it. Plain JavaScript, as in
 * build.mjs.
 * @module
 */
import { existsSync, readdirSync, statSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { isolateScripts } from './isolate-scripts.mjs'

export const root = dirname(dirname(fileURLToPath(import.meta.url)))
export const dist = join(root, 'dist')

/** The source of the command line. Its output is the last file that build.mjs replaces. */
export const cli = 'sdk/cli/main.ts'

/**
 * True if dist/cli.mjs is missing, or older than a source file of the sdk. Always false where there are no sources.
 */
export function codeIsStale() {
  if (!existsSync(join(root, cli))) return false
  const built = statSync(join(dist, 'cli.mjs'), { throwIfNoEntry: false })
  return built === undefined || newestMs(join(root, 'sdk')) > built.mtimeMs
}

function newestMs(folder) {
  let newest = 0
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) newest = Math.max(newest, newestMs(path))
    else if (/(?<!\.test)\.(ts|mjs)$/.test(entry.name)) newest = Math.max(newest, statSync(path).mtimeMs)
  }
  return newest
}

/**
 * A script of dist/. If a source is newer, it is built again, which takes a process of esbuild and some 100 ms of
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
