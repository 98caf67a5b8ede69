/**
 * Writes docs/reference/api.md from the gateway's routes: `node test/style/api-reference.ts`. A test keeps the two equal.
 * @module
 */
import '@hono/zod-openapi' // before any schema is made
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { makeApp, openApiDocument } from '../../gateway/app.ts'
import { openPaths } from '../../gateway/http/auth.ts'
import { root } from './sources.ts'

interface Operation {
  readonly summary?: string
  readonly description?: string
  readonly parameters?: readonly {
    readonly name: string
    readonly in: string
    readonly required?: boolean
    readonly description?: string
    readonly schema?: Schema
  }[]
  readonly requestBody?: { readonly content: Readonly<Record<string, { readonly schema?: Schema }>> }
  readonly responses: Readonly<
    Record<
      string,
      {
        readonly description: string
        readonly content?: Readonly<Record<string, { readonly schema?: Schema }>>
      }
    >
  >
}

interface Schema {
  readonly $ref?: string
  readonly type?: string | readonly string[]
  readonly enum?: readonly unknown[]
  readonly const?: unknown
  readonly default?: unknown
  readonly format?: string
  readonly description?: string
  readonly anyOf?: readonly Schema[]
  readonly items?: Schema
  readonly properties?: Readonly<Record<string, Schema>>
  readonly required?: readonly string[]
}

interface Document {
  readonly info: { readonly version: string; readonly description: string }
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>
}

export const path = 'docs/reference/api.md'

export function apiReference(): string {
  // Routes touch their parts when they are called, not when they are made.
  const document = openApiDocument(makeApp({} as never, 'not a token')) as Document
  const operations = Object.entries(document.paths).flatMap(([route, methods]) =>
    Object.entries(methods).map(([method, operation]) => section(method.toUpperCase(), route, operation)),
  )
  return `${head}\n${operations.join('\n')}`
}

const head = `# The HTTP API

Generated from the gateway's routes by \`node test/style/api-reference.ts\`. A running gateway serves the same routes, with every
schema, as an OpenAPI 3.1 document at \`GET /v1/openapi.json\`.

Every route but ${[...openPaths].map((open) => `\`${open}\``).join(', ')} needs \`Authorization: Bearer TOKEN\`. A refusal is
\`application/problem+json\` (RFC 9457) with \`code\` (see [errors.md](../errors.md)) and a \`detail\` that says what to do.
`

function section(method: string, route: string, operation: Operation): string {
  const lines = [`## ${method} ${route}`, '', text(operation.summary), text(operation.description)]
  if (operation.parameters !== undefined && operation.parameters.length > 0) {
    lines.push('| parameter | in | type | |', '| --- | --- | --- | --- |')
    for (const p of operation.parameters)
      lines.push(
        `| \`${p.name}\` | ${p.in} | ${typeOf(p.schema).replace(' or null', '')} | ${cell(p.description)} |`,
      )
    lines.push('')
  }
  for (const [type, { schema }] of Object.entries(operation.requestBody?.content ?? {}))
    lines.push(bodyOf(type, schema), '')
  lines.push('| status | | body |', '| --- | --- | --- |')
  for (const [status, response] of Object.entries(operation.responses)) {
    const types = Object.keys(response.content ?? {}).map((type) => `\`${type}\``)
    lines.push(`| ${status} | ${cell(response.description)} | ${types.join(', ')} |`)
  }
  return `${lines.join('\n').replaceAll(/\n{3,}/g, '\n\n')}\n`
}

/** The fields of a body; of one that may have several shapes, those of each. */
function bodyOf(type: string, schema: Schema | undefined): string {
  const shapes = (schema?.anyOf ?? [schema]).map((shape) =>
    Object.entries(shape?.properties ?? {}).map(([name, field]) => {
      const needed = shape?.required?.includes(name) ? ', required' : ''
      return `\`${name}\` (${field.description ?? typeOf(field)}${needed})`
    }),
  )
  const fields = shapes.map((shape) => shape.join(', ')).join('; or ') || schema?.description
  return `Body, \`${type}\`${fields === undefined ? '' : `: ${fields}`}`
}

function text(value: string | undefined): string {
  return value === undefined || value === '' ? '' : `${value}\n`
}

function cell(value: string | undefined): string {
  return (value ?? '').replaceAll('|', '\\|').replaceAll('\n', ' ')
}

function typeOf(schema: Schema | undefined): string {
  if (schema === undefined) return ''
  const type = namesOf(schema).filter(Boolean).join(' or ')
  return schema.default === undefined ? type : `${type}, default ${String(schema.default)}`
}

function namesOf({ enum: values, const: value, anyOf, items, type }: Schema): string[] {
  if (value !== undefined) return [String(value)]
  if (values !== undefined) return values.map(String)
  if (anyOf !== undefined) return anyOf.flatMap(namesOf)
  if (items !== undefined) return [`array of ${typeOf(items)}`]
  return [type ?? ''].flat()
}

if (import.meta.main) writeFileSync(join(root, path), apiReference())
