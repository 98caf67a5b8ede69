/**
 * Project: finds the source to deploy and its configuration.
 *
 *   J1. Only what the author wrote is uploaded: the gateway fills in the defaults, so that they are the same for
 *       everybody.
 * @module
 */
import { existsSync, statSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { CodedError } from '../../errors.ts'
import { assetsFolder } from '../../manifest/assets.ts'
import type { CliErrorCode } from '../errors.ts'
import { mainDefault, type Project, projectFile } from './project-shape.ts'

/**
 * Finds the project at a path: a folder with `concord.jsonc`, a configuration file of any name, or a source file. A
 * single source file has no manifest, unless the `concord.jsonc` of its folder names it as `main`.
 * @param doing What the project is needed for, as error messages say it.
 */
export async function openProject(path: string, doing = 'deploy'): Promise<Project> {
  const full = resolve(path)
  const found = statSync(full, { throwIfNoEntry: false })
  if (!found) throw missing(`Cannot ${doing} ${path}: there is no such file or folder`)
  if (found.isFile() && /\.jsonc?$/.test(full)) return openProjectFile(full, doing)
  const folder = found.isDirectory() ? full : dirname(full)
  const file = join(folder, projectFile)
  const project = existsSync(file)
    ? await readFile(file)
    : { entry: join(folder, mainDefault), folder, assets: join(folder, assetsFolder), manifest: {} }
  if (found.isDirectory()) return withEntry(project, path, doing)
  return project.entry === full ? project : { entry: full, folder, manifest: {} }
}

/** The name of the configuration file in 2016. */
const classicFile = 'config.json'

/** Reads a project from its configuration file, of any name, or from the one in a folder. */
export async function openProjectFile(path: string, doing = 'deploy'): Promise<Project> {
  const file = projectFileAt(path, doing)
  return file === undefined
    ? await openProject(path, doing)
    : withEntry(await readFile(resolve(file)), path, doing)
}

/** The contents of a configuration file, whether the code exists or not. */
export async function openManifest(path: string, doing: string): Promise<Project['manifest']> {
  const file = projectFileAt(path, doing)
  if (file === undefined) throw missing(`Cannot ${doing} ${path}: there is no ${projectFile} in it`)
  return (await readFile(resolve(file))).manifest
}

/** The configuration file at a path, or in the folder at it. @returns Undefined if the folder has none. */
function projectFileAt(path: string, doing: string): string | undefined {
  const found = statSync(path, { throwIfNoEntry: false })
  if (!found) throw missing(`Cannot ${doing} ${path}: there is no such file or folder`)
  if (!found.isDirectory()) return path
  return [projectFile, classicFile].map((name) => join(path, name)).find((file) => existsSync(file))
}

function withEntry(project: Project, path: string, doing: string): Project {
  const entry = statSync(project.entry, { throwIfNoEntry: false })
  if (entry?.isFile()) return project
  if (entry !== undefined) {
    const why = `its 'main' is a folder, ${project.entry}; name the file in it`
    throw missing(`Cannot ${doing} ${path}: ${why}`)
  }
  const wanted = basename(project.entry)
  if (statSync(path).isDirectory() && projectFileAt(path, doing) === undefined) {
    throw missing(
      `Cannot ${doing} ${path}: there is no project in ${project.folder}, neither ${projectFile} nor ${wanted}; 'concord init NAME' creates one`,
    )
  }
  throw missing(
    `Cannot ${doing} ${path}: there is no ${wanted} in ${project.folder}; name the entry file as 'main' in ${projectFile}`,
  )
}

/** Loaded only if there is a file to read: its schema library takes longer to load than the rest of a deploy. */
async function readFile(path: string): Promise<Project> {
  const { readProjectFile } = await import('./project-file.ts')
  return readProjectFile(path)
}

function missing(message: string): CodedError<CliErrorCode> {
  return new CodedError('ERR_FILE_MISSING', message)
}
