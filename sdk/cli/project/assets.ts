/**
 * Assets of the command line: files that are hashed here, and sent where the server has not got their bytes yet.
 * @module
 */
import { createHash } from 'node:crypto'
import { createReadStream, openAsBlob, readdirSync, statSync } from 'node:fs'
import { basename, join } from 'node:path'
import type { ConcordClient } from '../../client/index.ts'
import { CodedError } from '../../errors.ts'
import { assetBytesMax, assetNameForm, assetNamePattern } from '../../manifest/assets.ts'
import type { CliErrorCode } from '../errors.ts'

/** Paths, by the names that the files are to have as assets. */
export type AssetFiles = ReadonlyMap<string, string>

export interface Uploaded {
  /** Hex sha256, by name. */
  readonly names: Readonly<Record<string, string>>
  /** What had to be sent. */
  readonly sentBytes: number
}

/** The files of a folder, hidden ones left out; none if it is not there. */
export function assetFilesIn(folder: string | undefined): AssetFiles {
  if (folder === undefined || !statSync(folder, { throwIfNoEntry: false })?.isDirectory()) return new Map()
  const names = readdirSync(folder).filter((name) => !name.startsWith('.'))
  return assetFilesOf(names.map((name) => join(folder, name)))
}

/** Files as assets of their own names. @throws {CodedError} ERR_FILE_MISSING, ERR_USAGE */
export function assetFilesOf(paths: readonly string[]): AssetFiles {
  return new Map(paths.map((path) => [nameOf(path, basename(path)), path]))
}

/** @throws {CodedError} ERR_FILE_MISSING, ERR_USAGE */
export function nameOf(path: string, name: string): string {
  const found = statSync(path, { throwIfNoEntry: false })
  if (found === undefined) throw refused('ERR_FILE_MISSING', path, 'there is no such file')
  if (!found.isFile()) throw refused('ERR_USAGE', path, 'it is no file: an asset is one file')
  if (!assetNamePattern.test(name))
    throw refused('ERR_USAGE', path, `'${name}' cannot be its name: ${assetNameForm}`)
  if (found.size > assetBytesMax)
    throw refused('ERR_USAGE', path, `it has ${found.size} bytes, and an asset has at most ${assetBytesMax}`)
  return name
}

/** Asks for each content first, and sends what is not there. */
export async function uploadAssets(client: ConcordClient, files: AssetFiles): Promise<Uploaded> {
  const names: Record<string, string> = {}
  let sentBytes = 0
  for (const [name, path] of files) {
    const sha256 = await hashOfFile(path)
    names[name] = sha256
    if ((await client.assetContent(sha256)) !== undefined) continue
    sentBytes += (await client.uploadAsset(sha256, await openAsBlob(path))).bytes
  }
  return { names, sentBytes }
}

/** @returns Hex sha256. */
export async function hashOfFile(path: string): Promise<string> {
  const hash = createHash('sha256')
  for await (const chunk of createReadStream(path, { highWaterMark: 1024 * 1024 }))
    hash.update(chunk as Buffer)
  return hash.digest('hex')
}

function refused(code: CliErrorCode, path: string, why: string): CodedError<CliErrorCode> {
  return new CodedError(code, `Cannot take ${path} as an asset: ${why}`)
}
