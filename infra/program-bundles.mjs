/**
 * ProgramBundles: makes one file of each program of the platform: `node infra/program-bundles.mjs` does so in dist/platform/, and
 * puts the scripts for isolates beside them.
 *
 *  BN1. Files are replaced by a rename: a process that starts meanwhile sees the old bundle or the new one.
 *  BN2. Names and lines are kept, and each part says by a comment which source it comes from, so that a stack can be read.
 *  BN3. inputs.json says of what the files were made. It goes before the first of them is replaced, and comes after the last: where
 *       it is, they belong together.
 * @module
 */
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { createRequire } from 'node:module'
import { basename, dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { inputsDiffer, seenInputs } from '../sdk/inputs.mjs'
import { bundleFile, bundleName, isolateScript, isolateScripts, programs, root } from './programs.mjs'

const folder = dirname(bundleFile(programs[0]))
const inputsName = 'inputs.json'
const workPrefix = '.new-'

/** CommonJS packages within a module ask for Node's own modules by this. */
const banner =
  "import { createRequire as concordRequire } from 'node:module'; const require = concordRequire(import.meta.url);"

/**
 * zod's messages in fifty languages are half of its code, and a package that takes all of zod takes them too: @hono/zod-openapi.
 * Ours are zod's own.
 */
const oneLanguage = {
  name: 'one-language',
  setup: ({ onLoad }) =>
    onLoad({ filter: /[/\\]zod[/\\]v4[/\\]locales[/\\]index\.js$/ }, ({ path }) => ({
      contents: "export { default as en } from './en.js'",
      resolveDir: dirname(path),
    })),
}

/** @returns The bundles of programs, with their names, and what went into them. @throws esbuild's error if a source does not compile. */
export async function bundlePrograms(sources) {
  const { build } = await import('esbuild')
  const { outputFiles, metafile } = await build({
    entryPoints: sources.map((source) => ({
      in: join(root, source),
      out: basename(bundleName(source), '.js'),
    })),
    outdir: folder,
    absWorkingDir: root, // paths in the output's comments, and those of the inputs, are relative to it
    bundle: true,
    write: false,
    metafile: true,
    platform: 'node',
    format: 'esm',
    target: 'node24',
    mainFields: ['module', 'main'],
    external: ['isolated-vm', 'esbuild', join(root, 'sdk', 'built.mjs')], // what is native, or looks for files beside itself
    banner: { js: banner },
    plugins: [oneLanguage],
    legalComments: 'none',
    logLevel: 'silent',
  })
  const files = outputFiles.map(({ path, contents }) => ({ name: basename(path), contents }))
  return { files, inputs: Object.keys(metafile.inputs) }
}

/** True if they are not whole, or not made of what is here now. False where there are no sources. */
export function bundlesAreStale() {
  if (!existsSync(join(root, programs[0]))) return false
  const inputs = readInputs()
  return inputs === undefined || inputsDiffer(root, inputs)
}

/** True if all bundles and scripts are there, of one build (BN3). */
export function bundlesAreWhole() {
  return readInputs() !== undefined
}

function readInputs() {
  const files = [...programs.map(bundleFile), ...isolateScripts.map((name) => join(folder, name))]
  if (!files.every((file) => existsSync(file))) return undefined
  try {
    return JSON.parse(readFileSync(join(folder, inputsName), 'utf8'))
  } catch {
    return undefined
  }
}

async function build() {
  const startedMs = Date.now()
  const { files, inputs } = await bundlePrograms(programs)
  for (const name of isolateScripts) files.push({ name, contents: await isolateScript(name) })
  inputs.push('infra/program-bundles.mjs', 'tsconfig.json', ...isolateScripts.map((name) => `dist/${name}`))
  inputs.push(relative(root, createRequire(import.meta.url).resolve('esbuild/package.json')))
  const seen = seenInputs(root, inputs, startedMs)
  files.push({ name: inputsName, contents: JSON.stringify(seen) }) // the last (BN3)
  mkdirSync(folder, { recursive: true })
  for (const name of readdirSync(folder).filter((each) => each.startsWith(workPrefix)))
    rmSync(join(folder, name), { recursive: true, force: true }) // of a build that was killed
  replace(files)
}

function replace(files) {
  const work = mkdtempSync(join(folder, workPrefix))
  try {
    for (const { name, contents } of files) writeFileSync(join(work, name), contents)
    rmSync(join(folder, inputsName), { force: true })
    for (const { name } of files) renameSync(join(work, name), join(folder, name))
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await build()
