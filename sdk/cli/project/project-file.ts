/**
 * ProjectFile: reads and checks `concord.jsonc`, and the `config.json` of 2016.
 *
 * Both are a partial manifest (sdk/manifest/manifest.ts) with `main`, the entry file. Keys of 2016's Concord are
 * accepted if they have a meaning here (classic-keys.ts). The published JSON Schema is made from the schema below.
 *
 *   J2. An unknown key is an error, which names the nearest known one.
 * @module
 */
import { readFileSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import {
  findNodeAtLocation,
  getNodeValue,
  type Node,
  type ParseError,
  parseTree,
  printParseErrorCode,
} from 'jsonc-parser'
import * as z from 'zod'
import { CodedError } from '../../errors.ts'
import { assetsFolder } from '../../manifest/assets.ts'
import { plainOf, type Wrong, wrongOf, wrongText } from '../../manifest/expected.ts'
import { type KnownKeys, keysOf } from '../../manifest/known-keys.ts'
import { byStream, groupingSchema, inputSchema, manifestSchema } from '../../manifest/manifest.ts'
import type { CliErrorCode } from '../errors.ts'
import { classicKeys, fromClassicKeys } from './classic-keys.ts'
import { mainDefault, type Project } from './project-shape.ts'

const descriptions: Readonly<Record<string, string>> = {
  name: 'The name of the function; must equal the one in its metadata.',
  istreams: 'Grouping and back-pressure of input streams. Default: as in the metadata.',
  ostreams: 'Output streams; must equal those in the metadata.',
  onError: 'What happens to a record or timer whose callback throws: fail, skip, deadLetter, or retry.',
  instances: 'The number of instances.',
  scale: 'Scale by the load: minimum, maximum, targets, pace.',
  instancesPerRunner: 'How many instances share one runner, and its end. Default: 1, or 8 with a pack.',
  pack: 'Functions with the same pack name share runners, and their end.',
  resources: 'Resources of each instance: cores, memory and disk in MiB, ports.',
  placement: 'Where instances run: constraints and priority.',
  limits: 'Limits of each instance: heap and state in MiB, times in ms, output in bytes.',
  restarts: 'How often in a row a failed instance is restarted. After one more failure it stays down.',
  tap: 'Memory for recent inputs, to be replayed (not `tape`, which is for the gate). false: none.',
  tape: 'Recent records, kept for the gate (not `tap`, which is for replay). false: none.',
  gate: 'Tests a new version on recent records before it gets a live one.',
  trial: 'How long a new version is on trial, and how many errors it may make.',
  rollout: 'How a new version takes over: shadow, canary, rolling.',
  checkpoint: 'How often state and timers are saved. false: never; they end with their instance.',
  assets: 'Files that the function requires.',
  env: 'The contents of ctx.env.',
  args: 'The contents of ctx.args.',
  logLevel: 'The least level that the log keeps.',
}

const { schema: _schema, ...manifestShape } = manifestSchema
  .extend({
    istreams: byStream(z.union([groupingSchema, inputSchema.partial({ grouping: true })])),
  })
  .partial().shape
const described = Object.entries(manifestShape).map(([key, type]) => [
  key,
  type.describe(descriptions[key] ?? key),
])

export const projectSchema = z
  .strictObject({
    $schema: z.string().optional(),
    main: z.string().optional().describe(`The entry file, relative to this file. Default: ${mainDefault}.`),
    ...(Object.fromEntries(described) as typeof manifestShape),
  })
  .describe('A Concord function project.')

const knownKeys: KnownKeys = (path) => [
  ...keysOf(projectSchema)(path),
  ...(path.length === 0 ? classicKeys : []),
]

/** @throws {CodedError} ERR_PROJECT_INVALID with line and column. */
export function readProjectFile(path: string): Project {
  const text = readFileSync(path, 'utf8').replace(/^\uFEFF/, '') // editors on Windows write it
  const errors: ParseError[] = []
  const tree = parseTree(text, errors, { allowTrailingComma: true })
  const [error] = errors
  if (error || tree === undefined) {
    throw invalid(
      path,
      text,
      error?.offset ?? 0,
      `it is not JSON: ${error ? inWords(printParseErrorCode(error.error)) : 'value expected'}`,
    )
  }
  const written = getNodeValue(tree)
  const classic = fromClassicKeys(written as Record<string, unknown>)
  if (classic.problem !== undefined) {
    throw invalid(path, text, offsetOf(tree, [classic.problem.key]), classic.problem.message)
  }
  const checked = projectSchema.safeParse(classic.project)
  if (!checked.success) {
    const issue = plainOf(checked.error.issues[0]!)
    const wrong = wrongOf(issue, classic.project, knownKeys)
    throw invalid(path, text, offsetOf(tree, issuePath(issue, wrong)), wrongText(wrong))
  }
  const { $schema: _, main = mainDefault, ...manifest } = classic.project
  const folder = dirname(path)
  return { entry: resolve(folder, String(main)), folder, assets: join(folder, assetsFolder), manifest }
}

/** `ValueExpected` becomes `value expected`. */
function inWords(code: string): string {
  return code.replaceAll(/(?<=[a-z])(?=[A-Z])/g, ' ').toLowerCase()
}

type Issue = z.core.$ZodIssue

/** Where the error points to: the unknown key itself, else the wrong value. */
function issuePath(issue: Issue, { path }: Wrong): readonly PropertyKey[] {
  return issue.code === 'unrecognized_keys' ? [...path, issue.keys[0]!] : path
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
