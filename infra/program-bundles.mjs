/**
 * ProgramBundles: makes one file of each program of the platform: `node infra/program-bundles.mjs` does so in dist/platform/.
 *
 *  BN1. Files are replaced by a rename: a process that starts meanwhile sees the old bundle or the new one.
 *  BN2. Names and lines are kept, and each part says by a comment which source it comes from, so that a stack can be read.
 * @module
 */
import { existsSync, mkdirSync, readdirSync, renameSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { bundleFile, bundleName, programs, root } from './programs.mjs'

const folder = dirname(bundleFile(programs[0]))

/** CommonJS packages within a module ask for Node's own modules by this. */
const banner =
  "import { createRequire as concordRequire } from 'node:module'; const require = concordRequire(import.meta.url);"

/** @returns The bundles of programs, with their names. @throws esbuild's error if a source does not compile. */
export async function bundlePrograms(sources) {
  const { build } = await import('esbuild')
  const { outputFiles } = await build({
    entryPoints: sources.map((source) => ({
      in: join(root, source),
      out: basename(bundleName(source), '.js'),
    })),
    outdir: folder,
    absWorkingDir: root, // paths in the output's comments are relative to it
    bundle: true,
    write: false,
    platform: 'node',
    format: 'esm',
    target: 'node24',
    mainFields: ['module', 'main'],
    external: ['isolated-vm', 'esbuild', join(root, 'sdk', 'built.mjs')], // what is native, or looks for files beside itself
    banner: { js: banner },
    legalComments: 'none',
    logLevel: 'silent',
  })
  return outputFiles.map(({ path, contents }) => ({ name: basename(path), contents }))
}

/** True if a bundle is missing, or older than a source or the packages. False where there are no sources. */
export function bundlesAreStale() {
  if (!existsSync(join(root, programs[0]))) return false
  const sourceMs = ['gateway', 'infra', 'runner', 'scheduler', 'sdk'].map((name) =>
    newestMs(join(root, name)),
  )
  const neededMs = Math.max(...sourceMs, modifiedMs(join(root, 'node_modules', '.package-lock.json')))
  return programs.some((source) => modifiedMs(bundleFile(source)) < neededMs)
}

/** Of the sources in a folder, tests left out. */
function newestMs(folder) {
  let newest = 0
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) newest = Math.max(newest, newestMs(path))
    else if (/(?<!\.test)\.(ts|mjs)$/.test(entry.name)) newest = Math.max(newest, modifiedMs(path))
  }
  return newest
}

function modifiedMs(path) {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const startedAt = new Date()
  mkdirSync(folder, { recursive: true })
  for (const { name, contents } of await bundlePrograms(programs)) {
    const temporary = join(folder, `${name}.${process.pid}`)
    writeFileSync(temporary, contents)
    utimesSync(temporary, startedAt, startedAt) // a source that changed meanwhile is newer
    renameSync(temporary, join(folder, name))
  }
}
