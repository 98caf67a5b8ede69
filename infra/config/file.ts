/**
 * The configuration file: JSON with comments, each key a setting or a group of them.
 *
 *  C1. A key that no setting has is an error that names the nearest one: a misspelt setting is never ignored.
 *  C2. An error says file, line and column.
 * @module
 */
import { readFileSync } from 'node:fs'
import { getNodeValue, type Node, type ParseError, parseTree, printParseErrorCode } from 'jsonc-parser'
import { CodedError } from '../../sdk/errors.ts'
import { nearest } from '../../sdk/nearest.ts'
import type { ConfigErrorCode } from './errors.ts'

/** A value in the file, and its place: `PATH:LINE:COLUMN`. */
export interface FileValue {
  readonly value: unknown
  readonly place: string
}

/**
 * Reads the values of a configuration file, by key.
 * @param optional Whether the file may be absent: then there are no values.
 * @throws {CodedError} ERR_CONFIG_FILE, ERR_CONFIG_KEY
 */
export function readConfigFile(
  path: string,
  known: readonly string[],
  optional: boolean,
): ReadonlyMap<string, FileValue> {
  const text = readText(path, optional)
  const values = new Map<string, FileValue>()
  if (text === undefined) return values

  const errors: ParseError[] = []
  const tree = parseTree(text, errors, { allowTrailingComma: true })
  const [error] = errors
  if (error !== undefined || tree?.type !== 'object') {
    const found = error === undefined ? 'no object' : printParseErrorCode(error.error)
    throw fileError(
      `Cannot read ${place(path, text, error?.offset ?? 0)}: expected JSON with comments, found ${found}`,
    )
  }
  collect(tree, '', (key, keyNode, valueNode) => {
    const at = place(path, text, keyNode.offset)
    if (known.includes(key)) values.set(key, { value: getNodeValue(valueNode), place: at })
    else if (valueNode.type === 'object' && known.some((name) => name.startsWith(`${key}.`))) return true
    else throw unknownKey(key, known, `${at}: `)
    return false
  })
  return values
}

/** The error for a key that no setting has. */
export function unknownKey(key: string, known: readonly string[], prefix = ''): CodedError<ConfigErrorCode> {
  const guess = nearest(key, known)
  const hint = guess === undefined ? "'concord config' lists the settings" : `did you mean '${guess}'?`
  return new CodedError('ERR_CONFIG_KEY', `${prefix}there is no setting '${key}': ${hint}`)
}

/** Visits each property, and the properties in it where `visit` answers true. */
function collect(
  object: Node,
  prefix: string,
  visit: (key: string, keyNode: Node, valueNode: Node) => boolean,
): void {
  for (const property of object.children ?? []) {
    const [keyNode, valueNode] = property.children ?? []
    if (keyNode === undefined || valueNode === undefined) continue
    const key = prefix + keyNode.value
    if (key !== '$schema' && visit(key, keyNode, valueNode)) collect(valueNode, `${key}.`, visit)
  }
}

function readText(path: string, optional: boolean): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch (cause) {
    const { code = '' } = cause as NodeJS.ErrnoException
    if (optional && ['ENOENT', 'ENOTDIR'].includes(code)) return undefined
    throw fileError(`Cannot read the configuration file ${path}: ${(cause as Error).message}`, cause)
  }
}

function place(path: string, text: string, offset: number): string {
  const before = text.slice(0, offset).split('\n')
  return `${path}:${before.length}:${before.at(-1)!.length + 1}`
}

function fileError(message: string, cause?: unknown): CodedError<ConfigErrorCode> {
  return new CodedError('ERR_CONFIG_FILE', message, { cause })
}
