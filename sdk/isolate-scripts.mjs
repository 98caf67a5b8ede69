/**
 * IsolateScripts: the scripts that run inside isolates, by their file names in dist/. Plain JavaScript, as in
 * `build.mjs`: it runs on whatever Node the machine has.
 * @module
 */
import { fileURLToPath } from 'node:url'

const here = fileURLToPath(new URL('.', import.meta.url))

const common = {
  bundle: true,
  write: false,
  format: 'iife',
  platform: 'neutral',
  target: 'es2024',
  legalComments: 'none',
  logLevel: 'silent',
}

/**
 * @returns A script in strict mode, which keeps its variables to itself; its value is what isolate-main.ts exports.
 */
export async function bundleRuntime() {
  const entryPoints = [`${here}runtime/isolate-main.ts`]
  const script = await bundle({
    ...{ entryPoints, globalName: 'runtime', minifyWhitespace: true, minifySyntax: true },
  })
  return `'use strict';${script};runtime\n`
}

/** @returns The module `concord`, as an expression. */
async function bundleModule() {
  const script = await bundle({ entryPoints: [`${here}index.ts`], globalName: 'sdk', minify: true })
  return `(() => { ${script.trim()} return sdk })()`
}

const globals = `
import { ChaCha } from './runtime/globals/chacha.ts'
import { installGlobals } from './runtime/globals/install.ts'
const chacha = new ChaCha(new Uint8Array(32))
const seam = { function: '', version: 0, instance: 0, env: {}, args: [], nowMs: Date.now(), print() {} }
seam.fillRandom = (bytes) => chacha.fill(bytes)
installGlobals(globalThis, { seam, logLevel: 'error', random: () => chacha.number(), timeouts: () => undefined })
`

/** @returns A script that installs a runner's globals in an isolate, with time and randomness fixed. */
function bundleGlobals() {
  return bundle({ stdin: { contents: globals, resolveDir: here, loader: 'js' }, minify: true })
}

async function bundle(options) {
  const { build } = await import('esbuild')
  const { outputFiles } = await build({ ...common, ...options })
  return outputFiles[0].text
}

export const isolateScripts = {
  'runtime.js': bundleRuntime,
  'probe-module.js': bundleModule,
  'probe-globals.js': bundleGlobals,
}
