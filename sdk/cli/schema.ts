/**
 * Schema: writes the published JSON Schema of concord.jsonc, made from the schema that the command line checks with.
 * Run it after a change of sdk/manifest/manifest.ts: `node sdk/cli/schema.ts`. A test keeps file and code equal.
 * @module
 */
import { writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import * as z from 'zod'
import { projectSchema } from './project/project-file.ts'

export const schemaPath = fileURLToPath(new URL('../schema/concord.schema.json', import.meta.url))

export function schemaText(): string {
  const schema = z.toJSONSchema(projectSchema, { io: 'input' })
  return `${JSON.stringify({ title: 'concord.jsonc', ...schema }, null, 2)}\n`
}

if (process.argv[1] === fileURLToPath(import.meta.url)) writeFileSync(schemaPath, schemaText())
