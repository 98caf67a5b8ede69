/**
 * OwnCode: our code that an upload finds while it is loaded, bundled once a process: the module `concord`, and the
 * globals of a runner, with time and randomness fixed.
 * @module
 */
import { fileURLToPath } from 'node:url'
import { type BuildOptions, build } from 'esbuild'

const sdkFolder = fileURLToPath(new URL('../../sdk/', import.meta.url))

const options = {
  bundle: true,
  write: false,
  format: 'iife',
  platform: 'neutral',
  target: 'es2024',
  minify: true,
  legalComments: 'none',
  logLevel: 'silent',
} as const satisfies BuildOptions

let sdk: Promise<string> | undefined

/** The module `concord`, as an expression. */
export function sdkExpression(): Promise<string> {
  sdk ??= build({ ...options, globalName: 'sdk', entryPoints: [`${sdkFolder}index.ts`] }).then(
    ({ outputFiles }) => `(() => { ${outputFiles[0]!.text.trim()} return sdk })()`,
  )
  return sdk
}

const globalsSource = `
import { ChaCha } from './runtime/globals/chacha.ts'
import { installGlobals } from './runtime/globals/install.ts'
const chacha = new ChaCha(new Uint8Array(32))
const seam = { function: '', version: 0, instance: 0, env: {}, args: [], nowMs: Date.now(), print() {} }
seam.fillRandom = (bytes) => chacha.fill(bytes)
installGlobals(globalThis, { seam, logLevel: 'error', random: () => chacha.number(), timeouts: () => undefined })
`

/** A script that installs a runner's globals in an isolate. */
export async function globalsScript(): Promise<string> {
  const stdin = { contents: globalsSource, resolveDir: sdkFolder, loader: 'js' } as const
  const { outputFiles } = await build({ ...options, stdin })
  return outputFiles[0]!.text
}
