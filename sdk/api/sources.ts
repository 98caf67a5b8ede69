/**
 * Sources: the code of a version as its author wrote it, from the source map uploaded with its bundle.
 * @module
 */
import * as z from 'zod'

export const sourcesKindSchema = z.enum(['source', 'bundle'])

export const versionSourcesSchema = z.object({
  name: z.string(),
  version: z.int(),
  /** `bundle`: the code that runs, in one file; on request, or if no uploaded source map contains the sources. */
  kind: sourcesKindSchema,
  /** By path, in the order of paths. */
  files: z.record(z.string(), z.string()),
})
export type VersionSources = z.output<typeof versionSourcesSchema>

export const bundleFile = 'bundle.js'
/** The platform's own files, which are in every bundle. */
const ownFiles = 'node_modules/concord/'

/** @param sourceMap A source map of version 3. @returns Its sources by path; undefined if it lacks one. */
export function filesOf(sourceMap: string): Record<string, string> | undefined {
  const { sources = [], sourcesContent = [] } = JSON.parse(sourceMap) as {
    readonly sources?: readonly (string | null)[]
    readonly sourcesContent?: readonly (string | null)[]
  }
  const files = sources
    .map((path, index) => [path ?? `source-${index}`, sourcesContent[index]] as const)
    .filter(([path]) => !path.startsWith(ownFiles))
    .sort(([a], [b]) => (a < b ? -1 : 1))
  if (files.length === 0 || files.some(([, text]) => typeof text !== 'string')) return undefined
  return Object.fromEntries(files) as Record<string, string>
}
