/**
 * Document: small JSON bodies, read within a limit and checked against a schema.
 * @module
 */
import type { z } from '@hono/zod-openapi'
import { issuesText } from '../../sdk/manifest/expected.ts'
import { refuse } from '../errors.ts'
import { type HttpContext, readBody } from './body.ts'

const bytesMax = 16 * 1024

/**
 * An empty body is an empty document.
 * @param what As in "Cannot read WHAT".
 * @throws {CodedError} ERR_REQUEST_INVALID
 */
export async function readDocument<S extends z.ZodType>(
  c: HttpContext,
  what: string,
  schema: S,
): Promise<z.output<S>> {
  return parseDocument(await readBody(c, what, bytesMax), what, schema)
}

/** The same for bytes that have been read. */
export function parseDocument<S extends z.ZodType>(bytes: Buffer, what: string, schema: S): z.output<S> {
  const document = bytes.length === 0 ? {} : parseJson(bytes, what)
  const parsed = schema.safeParse(document)
  if (parsed.success) return parsed.data
  throw refuse('ERR_REQUEST_INVALID', `Cannot read ${what}: ${issuesText(parsed.error, document, schema)}.`)
}

function parseJson(bytes: Buffer, what: string): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'))
  } catch {
    throw refuse('ERR_REQUEST_INVALID', `Cannot read ${what}: it is not JSON.`)
  }
}
