/**
 * ProjectShape: what a project is to whoever deploys it, and the names of its files where its author has named none.
 * @module
 */

export const projectFile = 'concord.jsonc'
export const mainDefault = 'index.ts'

export interface Project {
  /** Absolute path of the source that is bundled. */
  readonly entry: string
  /** Absolute path of the folder that paths in errors and source maps are relative to. */
  readonly folder: string
  /** Its folder of assets, which may not be there; absent for a file on its own. */
  readonly assets?: string
  /** What the author wrote of the manifest. */
  readonly manifest: Readonly<Record<string, unknown>>
}
