/**
 * Build: makes dist/ anew, which holds everything that others load of the sdk: `node sdk/build.mjs`.
 *
 *   dist/sdk.js, testkit.js, client.js   the modules `concord`, `concord/testkit` and `concord/client`
 *   dist/cli.mjs                         the command line; sdk/cli/bin.mjs runs it
 *   dist/runtime.js                      the script that runs in an isolate; `concord fn replay` runs it too
 *   dist/probe-*.js                      the scripts of the isolate in which a gateway loads an upload
 *   dist/types/                          type declarations of the first three
 *
 *   B1. Every file is replaced by a rename, `cli.mjs` last: a command that starts meanwhile sees the old build or the
 *       new one. inputs.json says of what they were made, and which they are. It goes before the first of them is replaced, and comes after the last.
 *   B2. Chunks are named by their content, and old ones are kept for an hour, so that a running command finds its own.
 *
 * Plain JavaScript with esbuild as its only dependency: it runs on whatever Node (20 or later) the machine has.
 * @module
 */
import { execFile } from 'node:child_process'
import { mkdirSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { basename, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { cli, dist, inputsFile, inputsOfDist, root } from './built.mjs'
import { seenInputs } from './inputs.mjs'
import { isolateScripts } from './isolate-scripts.mjs'

const chunkKeptMs = 3_600_000

const libraries = {
  sdk: 'sdk/index.ts',
  testkit: 'sdk/testkit/index.ts',
  client: 'sdk/client/index.ts',
}

/** Bundles the sources into dist/; ≈ 100 ms. @throws esbuild's error if a source does not compile. */
export async function buildCode() {
  const startedMs = Date.now()
  const inputs = inputsOfDist()
  const outputs = (await Promise.all([bundleScripts(), bundleLibraries(), bundleCli()])).flat()
  mkdirSync(join(dist, 'chunks'), { recursive: true })
  const last = join(dist, 'cli.mjs')
  rmSync(inputsFile, { force: true })
  for (const { path, contents } of outputs.filter(({ path }) => path !== last)) replaceFile(path, contents)
  for (const { path, contents } of outputs.filter(({ path }) => path === last)) replaceFile(path, contents)
  const made = {
    inputs: seenInputs(root, inputs, startedMs),
    outputs: outputs.map(({ path }) => relative(dist, path)),
  }
  replaceFile(inputsFile, JSON.stringify(made))
  removeOldChunks(new Set(outputs.map(({ path }) => basename(path))))
}

const common = {
  absWorkingDir: root,
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node20',
  outdir: dist,
  mainFields: ['module', 'main'],
  legalComments: 'none',
  logLevel: 'silent',
  write: false,
}

function bundleScripts() {
  const made = Object.entries(isolateScripts).map(async ([name, bundle]) => ({
    path: join(dist, name),
    contents: await bundle(),
  }))
  return Promise.all(made)
}

async function bundleLibraries() {
  const { build } = await import('esbuild')
  const { outputFiles } = await build({ ...common, entryPoints: libraries, chunkNames: 'chunks/[hash]' })
  return outputFiles
}

async function bundleCli() {
  const { build } = await import('esbuild')
  const { outputFiles } = await build({
    ...common,
    entryPoints: { cli },
    outExtension: { '.js': '.mjs' },
    chunkNames: 'chunks/[hash]',
    external: ['esbuild'],
    // Commander is CommonJS, and calls require('node:events').
    banner: {
      js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);",
    },
  })
  return outputFiles
}

/** Writes dist/types/ with the TypeScript compiler of the checkout. */
async function buildTypes() {
  const tsc = join(root, 'node_modules/typescript/bin/tsc')
  await promisify(execFile)(process.execPath, [tsc, '-p', join(root, 'sdk/tsconfig.types.json')])
}

function replaceFile(path, contents) {
  const temporary = `${path}.${process.pid}`
  writeFileSync(temporary, contents)
  renameSync(temporary, path)
}

function removeOldChunks(current) {
  for (const name of readdirSync(join(dist, 'chunks'))) {
    const path = join(dist, 'chunks', name)
    const ageMs = Date.now() - (statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? Date.now())
    if (!current.has(name) && ageMs > chunkKeptMs) rmSync(path, { force: true })
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const startedMs = performance.now()
  try {
    await Promise.all([buildCode(), buildTypes()])
    process.stderr.write(`built dist/ in ${Math.round(performance.now() - startedMs)} ms\n`)
  } catch (error) {
    process.stderr.write(`cannot build dist/: ${error.stdout || error.message}\n`)
    process.exitCode = 1
  }
}
