/**
 * Bundle: makes one ES module without imports of an author's source and everything that it imports, with its source
 * map.
 *
 *   E1. `concord` is the one of this installation. It is a few functions; what is not used of it is left out.
 *   E2. Source names are relative to the project, or to a package (source-names.ts): no path of the author's machine is
 *       uploaded.
 *   E3. An import that an isolate does not have (Node's modules) is refused here, where the line is known.
 *   E4. A source that imports nothing but `concord` is uploaded as it is, and the gateway bundles it. So the bundle is
 *       the same, and no new version, whether it comes from this command or from curl.
 *   E5. Constants stay constant (keep-constants.ts). In the gateway's form they do so anyway.
 *   E6. Globals that Node has and an isolate has not are only reported (absent-globals.ts): whether a record gets there is
 *       not known here.
 *   E7. Code that is too large for a gateway is refused here, and before it is bundled if its source map would be.
 * @module
 */
import { readFile, stat } from 'node:fs/promises'
import { isBuiltin } from 'node:module'
import { basename, join, relative } from 'node:path'
import type { BuildFailure, BuildOptions, Message, Metafile, OutputFile, Plugin } from 'esbuild'
import { CodedError } from '../../errors.ts'
import { bundleBytesMax, sourceMapBytesMax } from '../../manifest/limits.ts'
import type { Installation } from '../command.ts'
import type { CliErrorCode } from '../errors.ts'
import { type AbsentUse, absentMarks, absentUses, mayUseAbsent } from './absent-globals.ts'
import { keepConstants } from './keep-constants.ts'
import type { Project } from './project-shape.ts'
import { namesOf, type SourcePlaces } from './source-names.ts'

export interface Bundle {
  readonly code: string
  readonly sourceMap: string
  /** E4. */
  readonly alone: { readonly source: Uint8Array; readonly file: string } | undefined
  /** E6. */
  readonly absent: readonly AbsentUse[]
}

/** @throws {CodedError} ERR_BUNDLE_FAILED with file, line and column. */
export async function bundleProject({ root }: Installation, { entry, folder }: Project): Promise<Bundle> {
  const { build } = await import('esbuild')
  try {
    refuseLarger(entry, 'it', (await stat(entry)).size, sourceMapBytesMax)
    const options = {
      absWorkingDir: folder,
      entryPoints: [entry],
      outfile: join(folder, 'function.js'),
      bundle: true,
      write: false,
      metafile: true,
      format: 'esm',
      platform: 'neutral',
      mainFields: ['module', 'main'],
      target: 'es2024',
      sourcemap: 'external',
      minifyWhitespace: true, // for E2: it leaves out the comments that name each file
      legalComments: 'none',
      logLevel: 'silent',
      plugins: [ownSdk(root), noNodeModules],
    } as const satisfies BuildOptions
    const marks = absentMarks(await readFile(join(root, 'dist', 'probe-globals.js'), 'utf8'))
    const { outputFiles, metafile } = await build(options)
    const code = textOf(outputFiles, '.js')
    refuseLarger(entry, 'its bundle', Buffer.byteLength(code), bundleBytesMax)
    const ownDist = join(relative(folder, root), 'dist/')
    const plain = async () => (await build({ ...options, tsconfigRaw: '{}' })).outputFiles
    const standsAlone =
      ownFiles(metafile, ownDist) === 1 &&
      (await compilesAlone(entry)) &&
      (await plain()).some(({ text }) => text === code)
    const sourceMap = textOf(outputFiles, '.js.map')
    const marked = mayUseAbsent(code, marks)
      ? (await build({ ...options, define: marks })).outputFiles
      : undefined
    return {
      code: keepConstants({ code, sourceMap, inputs: new Set(Object.keys(metafile.inputs)) }),
      sourceMap: named(sourceMap, { folder, ownDist }), // E2
      absent: marked ? absentUses(textOf(marked, '.js'), textOf(marked, '.js.map')) : [],
      alone: standsAlone ? { source: await readFile(entry), file: plainName(entry) } : undefined,
    }
  } catch (error) {
    const [message] = (error as Partial<BuildFailure>).errors ?? []
    if (message === undefined) throw error
    throw new CodedError<CliErrorCode>(
      'ERR_BUNDLE_FAILED',
      `Cannot bundle ${relative(folder, entry)}: ${place({ ...message, text: advised(message.text) })}`,
    )
  }
}

/** E7. @throws {CodedError} ERR_BUNDLE_FAILED */
function refuseLarger(entry: string, what: string, bytes: number, bytesMax: number): void {
  if (bytes <= bytesMax) return
  const text = `${what} has ${bytes} bytes, and ${bundleBytesMax} bytes of code are the most that a gateway takes. Data can be an asset: concord asset push`
  throw new CodedError<CliErrorCode>('ERR_BUNDLE_FAILED', `Cannot deploy ${basename(entry)}: ${text}`)
}

function textOf(files: readonly OutputFile[], suffix: string): string {
  return files.find(({ path }) => path.endsWith(suffix))!.text
}

function ownFiles({ inputs }: Metafile, ownDist: string): number {
  return Object.keys(inputs).filter((path) => !path.startsWith(ownDist)).length
}

/** Whether the gateway can bundle the source (gateway/probe/compile.ts): its form allows no top-level await. */
async function compilesAlone(entry: string): Promise<boolean> {
  const { transform } = await import('esbuild')
  const source = await readFile(entry, 'utf8')
  const loader = /\.[cm]?jsx?$/.test(entry) ? 'js' : 'ts'
  const options = { loader, format: 'cjs', target: 'es2024', tsconfigRaw: '{}', logLevel: 'silent' } as const
  return await transform(source, options).then(
    () => true,
    () => false,
  )
}

/** The name of the source file, without the characters that the gateway refuses. */
function plainName(entry: string): string {
  return basename(entry)
    .replaceAll(/[^A-Za-z0-9_.-]/g, '_')
    .replace(/^[.-]/, '_')
    .slice(-100)
}

function ownSdk(root: string): Plugin {
  return {
    name: 'concord',
    setup(build) {
      build.onResolve({ filter: /^concord$/ }, () => ({
        path: join(root, 'dist', 'sdk.js'),
        sideEffects: false,
      }))
      build.onResolve({ filter: /^concord\// }, ({ path }) => ({
        errors: [{ text: `'${path}' is for tests and programs: a function can import 'concord' only` }],
      }))
    },
  }
}

const noNodeModules: Plugin = {
  name: 'no-node-modules',
  setup(build) {
    build.onResolve({ filter: /^node:/ }, ({ path }) => ({
      errors: [{ text: notThere(path) }],
    }))
  },
}

function notThere(nodeModule: string): string {
  return `'${nodeModule}' is not there where functions run, as no module of Node is; the web's globals (URL, TextEncoder, crypto, …) are: see docs/functions.md, "Time and randomness"`
}

/**
 * Esbuild's message, and what to do. A package may have the name of a Node module, so only a module that was not
 * found counts as Node's.
 */
function advised(text: string): string {
  const [, path, name] = /^Could not resolve "(((?:@[\w.-]+\/)?\w[\w.-]*)[^"]*)"$/.exec(text) ?? []
  if (path === undefined) return text
  if (isBuiltin(path)) return notThere(path)
  return `${text}: if that is a package, run 'npm install ${name}' in the project`
}

function place({ location, text }: Message): string {
  return location ? `${location.file}:${location.line}:${location.column + 1}: ${text}` : text
}

function named(json: string, places: SourcePlaces): string {
  const map = JSON.parse(json) as { sources: string[] }
  return JSON.stringify({ ...map, sources: namesOf(map.sources, places) })
}
