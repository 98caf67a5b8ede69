/**
 * Routes: what the definitions of all routes have in common, for the validators and for the OpenAPI document alike.
 * @module
 */
import type { HttpBindings } from '@hono/node-server'
import { type OpenAPIHono, z } from '@hono/zod-openapi'
import { problemSchema } from '../../sdk/api/index.ts'
import { nameSchema } from '../../sdk/manifest/manifest.ts'

export type App = OpenAPIHono<{ Bindings: HttpBindings }>

export const nameParam = z.object({ name: nameSchema })
export const instanceParam = z.object({
  id: z.string().regex(/^[a-z][a-z0-9-]{0,79}$/, 'expected FUNCTION-INDEX'),
})

export const security = [{ bearer: [] }]

export function jsonAnswer<Schema extends z.ZodType>(schema: Schema, description: string) {
  return { description, content: { 'application/json': { schema } } }
}

export const problemAnswer = {
  description: 'what was attempted, what was found and what to do (RFC 9457)',
  content: { 'application/problem+json': { schema: problemSchema } },
}

/**
 * The JSON Schema of a body that a route reads itself, within a limit, and then parses with this schema. A zod schema
 * here would make the framework read the whole body first, without a limit.
 */
export function bodySchema(schema: z.ZodType): object {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { io: 'input' })
  return rest
}

export const binarySchema = { type: 'string', format: 'binary' } as const
