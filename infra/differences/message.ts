/**
 * Message: a shadow's differences, as JSON.
 *
 *     {"schema": 1, "function": …, "version": …, "instance": …, "differences": [ … ]}
 *
 *   DM1. A message of a later schema, or of another form, is refused, and the error says what was found.
 * Design: docs/design/0030-shadow.md
 * @module
 */
import * as z from 'zod'
import { CodedError } from '../../sdk/errors.ts'
import { shadowDifferenceSchema } from '../../sdk/versions/shadow-schema.ts'
import { jsonBytes, parsedJson } from '../json.ts'

const messageSchema = z.object({
  schema: z.literal(1),
  function: z.string(),
  version: z.int(),
  instance: z.string(),
  differences: z.array(shadowDifferenceSchema),
})
export type Differences = Omit<z.output<typeof messageSchema>, 'schema'>

export function encodeDifferences(differences: Differences): Uint8Array {
  return jsonBytes({ schema: 1, ...differences })
}

/** @throws {CodedError} ERR_DIFFERENCES_MALFORMED */
export function decodeDifferences(bytes: Uint8Array): Differences {
  const json = parsedJson(bytes)
  if (json === undefined) throw malformed('it is no JSON')
  const parsed = messageSchema.safeParse(json)
  if (!parsed.success) throw malformed(z.prettifyError(parsed.error))
  const { schema: _, ...differences } = parsed.data
  return differences
}

function malformed(what: string): CodedError<'ERR_DIFFERENCES_MALFORMED'> {
  return new CodedError('ERR_DIFFERENCES_MALFORMED', `Cannot read differences of a shadow: ${what}`)
}
