/**
 * Project: what an author says about a function beside its code, in `concord.jsonc` or in the essay's `config.json`.
 *
 * It is a partial manifest (sdk/manifest.ts) and `main`, the entry file. The keys of 2016's Concord are taken too,
 * where they have a meaning here (classic-keys.ts). The published JSON Schema is made from the schema below.
 *
 *  J1. Only what the author wrote is uploaded: defaults are the gateway's, so that they are the same for everybody.
 *  J2. A key that means nothing is an error, and names the nearest that does.
 * @module
 */
import { existsSync, readFileSync, statSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import {
  findNodeAtLocation,
  getNodeValue,
  type Node,
  type ParseError,
  parseTree,
  printParseErrorCode,
} from 'jsonc-parser'
import { z } from 'zod'
import { CodedError } from '../errors.ts'
import { limitsSchema, manifestSchema, resourcesSchema } from '../manifest.ts'
import { classicKeys, fromClassicKeys } from './classic-keys.ts'
import type { CliErrorCode } from './errors.ts'
import { nearest } from './nearest.ts'

export const projectFile = 'concord.jsonc'
export const mainDefault = 'index.ts'

const descriptions: Readonly<Record<string, string>> = {
  name: "The function's name; it must be the one of its metadata.",
  istreams: 'Input streams, each with its grouping; they must be those of the metadata.',
  ostreams: 'Output streams; they must be those of the metadata.',
  onError: 'What happens to a record whose callback threw.',
  instances: 'How many instances run.',
  resources: 'What each instance gets of the cluster: cores, memory and disk in MiB.',
  limits: "The isolate's bounds: heap in MiB, times in ms.",
  restarts: 'Starts after failures before an instance counts as crash-looping and stays down.',
  env: 'What ctx.env holds.',
  args: 'What ctx.args holds.',
  logLevel: 'The least level of log lines that are kept.',
}

const { schema: _schema, ...manifestShape } = manifestSchema.partial().shape
const described = Object.entries(manifestShape).map(([key, type]) => [
  key,
  type.describe(descriptions[key] ?? key),
])

export const projectSchema = z
  .strictObject({
    $schema: z.string().optional(),
    main: z.string().optional().describe(`The entry file, relative to this one. Default: ${mainDefault}.`),
    ...(Object.fromEntries(described) as typeof manifestShape),
  })
  .describe('A Concord function project.')

export interface Project {
  /** Absolute path of the source that is bundled. */
  readonly entry: string
  /** Absolute path of the folder that paths in errors and source maps are relative to. */
  readonly folder: string
  /** What the author wrote of the manifest. */
  readonly manifest: Readonly<Record<string, unknown>>
}

/**
 * Finds the project behind a path: a folder with `concord.jsonc`, or a source file. A file on its own has no
 * manifest, unless its folder's `concord.jsonc` names it as `main`.
 */
export function openProject(path: string): Project {
  const full = resolve(path)
  const found = statSync(full, { throwIfNoEntry: false })
  if (!found) throw missing(`Cannot deploy ${path}: there is no such file or folder`)
  const folder = found.isDirectory() ? full : dirname(full)
  const file = join(folder, projectFile)
  const project = existsSync(file)
    ? readProjectFile(file)
    : { entry: join(folder, mainDefault), folder, manifest: {} }
  if (found.isDirectory()) return withEntry(project, path)
  return project.entry === full ? project : { entry: full, folder, manifest: {} }
}

/** Reads a project from its configuration file, whatever that is called. */
export function openProjectFile(path: string): Project {
  if (!existsSync(path)) throw missing(`Cannot deploy ${path}: there is no such file`)
  return withEntry(readProjectFile(resolve(path)), path)
}

function withEntry(project: Project, path: string): Project {
  if (existsSync(project.entry)) return project
  const wanted = basename(project.entry)
  throw missing(
    `Cannot deploy ${path}: there is no ${wanted} in ${project.folder}; name the entry file as 'main' in ${projectFile}`,
  )
}

function readProjectFile(path: string): Project {
  const text = readFileSync(path, 'utf8')
  const errors: ParseError[] = []
  const tree = parseTree(text, errors, { allowTrailingComma: true })
  const [error] = errors
  if (error || tree === undefined) {
    throw invalid(
      path,
      text,
      error?.offset ?? 0,
      `it is not JSON: ${error ? printParseErrorCode(error.error) : 'ValueExpected'}`,
    )
  }
  const written = getNodeValue(tree)
  const classic = fromClassicKeys(written as Record<string, unknown>)
  if (classic.problem !== undefined) {
    throw invalid(path, text, offsetOf(tree, [classic.problem.key]), classic.problem.message)
  }
  const checked = projectSchema.safeParse(classic.project)
  if (!checked.success) {
    const [issue] = checked.error.issues
    throw invalid(path, text, offsetOf(tree, issuePath(issue!)), issueText(issue!))
  }
  const { $schema: _, main = mainDefault, ...manifest } = classic.project
  return { entry: resolve(dirname(path), String(main)), folder: dirname(path), manifest }
}

type Issue = z.core.$ZodIssue

/** Where to point: at the unknown key itself, else at the value that is wrong. */
function issuePath(issue: Issue): PropertyKey[] {
  return issue.code === 'unrecognized_keys' ? [...issue.path, issue.keys[0]!] : [...issue.path]
}

function issueText(issue: Issue): string {
  const at = issue.path.join('.')
  if (issue.code !== 'unrecognized_keys') return `${at === '' ? 'it' : `'${at}'`} is wrong: ${issue.message}`
  const key = issue.keys[0]!
  const guess = nearest(key, knownKeys(at))
  return `unknown key '${key}'${at === '' ? '' : ` in '${at}'`}${guess === undefined ? '' : `; did you mean '${guess}'?`}`
}

function knownKeys(at: string): string[] {
  if (at === 'resources') return Object.keys(resourcesSchema.shape)
  if (at === 'limits') return Object.keys(limitsSchema.shape)
  if (at !== '') return ['grouping', 'backPressure', 'retry', 'then']
  return [...Object.keys(projectSchema.shape), ...classicKeys]
}

function offsetOf(tree: Node, path: readonly PropertyKey[]): number {
  for (let depth = path.length; depth > 0; depth--) {
    const found = findNodeAtLocation(tree, path.slice(0, depth) as (string | number)[])
    if (found) return found.parent?.type === 'property' ? found.parent.offset : found.offset
  }
  return tree.offset
}

function invalid(path: string, text: string, offset: number, what: string): CodedError<CliErrorCode> {
  const before = text.slice(0, offset).split('\n')
  const place = `${basename(path)}:${before.length}:${before.at(-1)!.length + 1}`
  return new CodedError('ERR_PROJECT_INVALID', `Cannot read ${place}: ${what}`)
}

function missing(message: string): CodedError<CliErrorCode> {
  return new CodedError('ERR_FILE_MISSING', message)
}
