/**
 * Compile: one TypeScript or JavaScript source file becomes a bundle. Runs in the probe's child, since hostile source
 * can take esbuild down.
 *
 * Only esbuild's `transform` sees the upload: it works on text alone and opens no file. Its `build` would: a computed
 * `import('../' + x)` makes it read the folders of this machine past every plugin, and so does a source map comment
 * with a file: URL. So the imports become `require` calls, and the one module there is, `concord`, is put beside them.
 *   C1. No file of this machine can come into a bundle or an error.
 *   C2. An import of anything but `concord` fails where it stands in the source.
 *   C3. The same source is the same bundle, whatever its file is called: the name is in the source map and in errors only.
 * @module
 */
import type { Message } from 'esbuild'
import { isolateScript } from '../../infra/programs.mjs'
import { type Location, refuse } from '../errors.ts'

const target = 'es2024'
/** The file name from which esbuild derives names in the bundle (C3). */
const sourcefile = 'function'

export interface Compiled {
  readonly code: string
  readonly sourceMap: string
}

/** The message of a refused import inside the isolate: only an error's class and message leave it. */
export const importMessage = /^Cannot import '(.*)'$/s

/** @throws {CodedError} ERR_SOURCE_INVALID with the place. */
export async function compile(source: string, file: string): Promise<Compiled> {
  const { transform } = await import('esbuild') // only for source: the command line sends bundles, which do not need it
  try {
    const { code, map } = await transform(source, {
      loader: /\.[cm]?jsx?$/.test(file) ? 'js' : 'ts',
      sourcefile,
      sourcemap: 'external',
      format: 'cjs',
      platform: 'neutral',
      target,
      banner: await banner(),
      footer: 'return module.exports\n})({ exports: {} })\nexport default (exported ?? {}).default',
      charset: 'utf8',
      legalComments: 'none',
      tsconfigRaw: '{}',
      logLevel: 'silent',
    })
    return { code, sourceMap: JSON.stringify({ ...JSON.parse(map), sources: [file] }) }
  } catch (error) {
    const first = (error as { errors?: Message[] }).errors?.[0]
    if (first === undefined) throw error
    throw refuse('ERR_SOURCE_INVALID', `Cannot compile ${file}: ${first.text}`, placeOf(first, file))
  }
}

async function banner(): Promise<string> {
  return `const exported = ((module) => {
const concord = ${await isolateScript('probe-module.js')}
const require = (name) => {
  if (name === 'concord') return concord
  throw new Error("Cannot import '" + name + "'")
}`
}

function placeOf({ location }: Message, file: string): { location?: Location } {
  if (location === null) return {}
  return { location: { file, line: location.line, column: location.column + 1 } }
}
