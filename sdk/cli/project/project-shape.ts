/**
 * ProjectShape: the parts of a project that a deploy needs, and the default names of its files.
 * @module
 */

export const projectFile = 'concord.jsonc'
export const mainDefault = 'index.ts'

export interface Project {
  /** Absolute path of the entry source. */
  readonly entry: string
  /** Absolute path of the folder to which paths in errors and source maps are relative. */
  readonly folder: string
  /** Absolute path of its folder of assets, which may not exist; absent for a single file. */
  readonly assets?: string
  /** The part of the manifest that the author wrote. */
  readonly manifest: Readonly<Record<string, unknown>>
}
