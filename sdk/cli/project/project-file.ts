/**
 * ProjectFile: `concord.jsonc` and the essay's `config.json`, read and checked.
 *
 * Both are a partial manifest (sdk/manifest/manifest.ts) and `main`, the entry file; the keys of 2016's Concord are taken too,
 * where they have a meaning here (classic-keys.ts). The published JSON Schema is made from the schema below.
 *
 *  J2. A key that means nothing is an error, and names the nearest that does.
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
import { z } from 'zod'
import { CodedError } from '../../errors.ts'
import { assetsFolder } from '../../manifest/assets.ts'
import { plainOf, type Wrong, wrongOf, wrongText } from '../../manifest/expected.ts'
import { inputSchema, manifestSchema, nameSchema } from '../../manifest/manifest.ts'
import { nearest } from '../../nearest.ts'
import type { CliErrorCode } from '../errors.ts'
import { classicKeys, fromClassicKeys } from './classic-keys.ts'
import { mainDefault, type Project } from './project-shape.ts'

const descriptions: Readonly<Record<string, string>> = {
  name: "The function's name; it must be the one of its metadata.",
  istreams: 'Input streams; each must be one of the metadata. A grouping that is not said is the one there.',
  ostreams: 'Output streams; they must be those of the metadata.',
  onError: 'What happens to a record whose callback threw.',
  instances: 'How many instances run.',
  scale: 'How many instances are to run by the load: bounds, targets, pace.',
  instancesPerRunner:
    'How many instances one runner is made for, which then share its end. Default: 1, or 8 with a pack.',
  pack: 'Functions that name the same pack share runners, and the end of their runner.',
  resources: 'What each instance gets of the cluster: cores, memory and disk in MiB.',
  limits: "The isolate's bounds: heap in MiB, times in ms.",
  restarts: 'Starts after failures before an instance counts as crash-looping and stays down.',
  env: 'What ctx.env holds.',
  args: 'What ctx.args holds.',
  logLevel: 'The least level of log lines that are kept.',
}

const { schema: _schema, ...manifestShape } = manifestSchema
  .extend({ istreams: z.record(nameSchema, inputSchema.partial({ grouping: true })) })
  .partial().shape
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

/** @throws {CodedError} ERR_PROJECT_INVALID with line and column. */
export function readProjectFile(path: string): Project {
  const text = readFileSync(path, 'utf8')
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
    const wrong = wrongOf(issue, classic.project)
    throw invalid(path, text, offsetOf(tree, issuePath(issue, wrong)), issueText(issue, wrong))
  }
  const { $schema: _, main = mainDefault, ...manifest } = classic.project
  const folder = dirname(path)
  return { entry: resolve(folder, String(main)), folder, assets: join(folder, assetsFolder), manifest }
}

/** `ValueExpected` as `value expected`. */
function inWords(code: string): string {
  return code.replaceAll(/(?<=[a-z])(?=[A-Z])/g, ' ').toLowerCase()
}

type Issue = z.core.$ZodIssue

/** Where to point: at the unknown key itself, else at the value that is wrong. */
function issuePath(issue: Issue, { path }: Wrong): readonly PropertyKey[] {
  return issue.code === 'unrecognized_keys' ? [...path, issue.keys[0]!] : path
}

function issueText(issue: Issue, wrong: Wrong): string {
  if (issue.code !== 'unrecognized_keys') return wrongText(wrong)
  const key = issue.keys[0]!
  const at = issue.path.join('.')
  const known = keysAt(projectSchema, issue.path)
  const guess = nearest(key, at === '' ? [...known, ...classicKeys] : known)
  return `unknown key '${key}'${at === '' ? '' : ` in '${at}'`}${guess === undefined ? '' : `; did you mean '${guess}'?`}`
}

/** What the object at a place may have, in whichever form it may be written. */
function keysAt(type: z.core.$ZodType, path: readonly PropertyKey[]): string[] {
  const { def } = (type as z.core.$ZodTypes)._zod
  const [first, ...rest] = path
  switch (def.type) {
    case 'object': {
      if (first === undefined) return Object.keys(def.shape)
      const next = def.shape[String(first)]
      return next === undefined ? [] : keysAt(next, rest)
    }
    case 'record':
      return first === undefined ? [] : keysAt(def.valueType, rest)
    case 'array':
      return first === undefined ? [] : keysAt(def.element, rest)
    case 'union':
      return def.options.flatMap((option) => keysAt(option, path))
    case 'optional':
    case 'default':
    case 'prefault':
      return keysAt(def.innerType, path)
    default:
      return []
  }
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
