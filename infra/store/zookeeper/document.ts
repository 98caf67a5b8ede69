/**
 * Document: how a document is stored in a znode: JSON with data that ZooKeeper does not keep for us.
 *
 * A node without data is not a document: it is being created, is the parent of others, or was removed and still has
 * children.
 * @module
 */
import { infraError } from '../../errors.ts'
import { documentText } from '../limits.ts'

const format = 1

export interface Stored {
  /** The node's version when the document was created: a document's versions start at 0, the node's do not. */
  readonly base: number
  /** Identifies the write, so that its writer recognizes it after a lost connection. */
  readonly write: string
  /** Set by a leader: its name and epoch. A document with an epoch below the last sealed one was written too late. */
  readonly leader?: string
  readonly epoch?: number
  readonly value: unknown
}

/** @throws {CodedError} ERR_STORE_TOO_LARGE @throws {TypeError} what JSON has no word for */
export function encodeDocument(path: string, { value, ...about }: Stored): Buffer {
  const text = documentText(path, value)
  return Buffer.from(`${JSON.stringify({ format, ...about }).slice(0, -1)},"value":${text}}`)
}

/** Undefined if there is none. @throws {CodedError} ERR_STORE_SCHEMA, ERR_STORE_FAILED */
export function decodeDocument(path: string, data: Buffer): Stored | undefined {
  if (data.length === 0) return undefined
  const stored = parse(path, data)
  if (stored.format === format) return stored
  throw infraError(
    'ERR_STORE_SCHEMA',
    `Cannot read ${path}: another build wrote it (format ${stored.format}, this build knows ${format}). Use that build, or another store`,
  )
}

function parse(path: string, data: Buffer): Stored & { readonly format: number } {
  try {
    return JSON.parse(data.toString())
  } catch (cause) {
    throw infraError('ERR_STORE_FAILED', `Cannot read ${path}: it holds something that is not ours`, {
      cause,
    })
  }
}
