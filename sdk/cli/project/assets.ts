/**
 * Assets: the files of a project that become assets. They are hashed here, and uploaded if the server does not have
 * their bytes.
 * @module
 */
import { createHash } from 'node:crypto'
import { createReadStream, openAsBlob, readdirSync, statSync } from 'node:fs'
import { basename, join } from 'node:path'
import type { ConcordClient } from '../../client/index.ts'
import { CodedError } from '../../errors.ts'
import { assetBytesMax, assetNameForm, assetNamePattern } from '../../manifest/assets.ts'
import type { CliErrorCode } from '../errors.ts'

/** The paths, by asset name. */
export type AssetFiles = ReadonlyMap<string, string>

export interface Uploaded {
  /** Hex sha256, by asset name. */
  readonly names: Readonly<Record<string, string>>
  /** The bytes that had to be uploaded. */
  readonly sentBytes: number
}

/** The files of a folder, without hidden ones; none if the folder does not exist. */
export function assetFilesIn(folder: string | undefined): AssetFiles {
  if (folder === undefined || !statSync(folder, { throwIfNoEntry: false })?.isDirectory()) return new Map()
  const names = readdirSync(folder).filter((name) => !name.startsWith('.'))
  return assetFilesOf(names.map((name) => join(folder, name)))
}

/** Files as assets, under their own names. @throws {CodedError} ERR_FILE_MISSING, ERR_USAGE */
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

/** Asks the server for each content first, and uploads what it does not have. */
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
