/**
 * Document: how a document of the store lies in a znode: JSON with what ZooKeeper does not keep for us.
 *
 * A node without data is no document: it is on the way, holds a place above others, or was removed and has children.
 * @module
 */
import { infraError } from '../../errors.ts'
import { documentText } from '../limits.ts'

const format = 1

export interface Stored {
  /** The node's version when the document was made: a document counts from 0, the node from whatever was there before. */
  readonly base: number
  /** Names the write: after the loss of a connection its writer knows it again. */
  readonly write: string
  /** Set by a leader: its name, and its epoch. One that is below the epoch last sealed came too late. */
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
