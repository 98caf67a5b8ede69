/**
 * The archive of a runner: `concord-runner-SHA256.tar.gz`, named by its content. It holds one folder, `concord-runner`, with a
 * program `run` in it, which takes no arguments.
 * @module
 */
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { basename, resolve } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { infraError } from '../errors.ts'

export const archiveFolder = 'concord-runner'

export interface RunnerArchive {
  readonly path: string
  /** Of the file, without its folder. */
  readonly name: string
  readonly bytes: number
}

export const archiveName = (sha256: string): string => `concord-runner-${sha256}.tar.gz`

/** @throws {CodedError} ERR_RUNNER_ARCHIVE */
export async function openArchive(file: string): Promise<RunnerArchive> {
  const path = resolve(file)
  const name = basename(path)
  const refuse = (why: string, cause?: unknown) =>
    infraError(
      'ERR_RUNNER_ARCHIVE',
      `Cannot use the runner's archive ${path}: ${why}. Build one with 'npm run runner-archive -- --out DIR', and name the file that it prints`,
      { cause },
    )
  if (!/^concord-runner-[0-9a-f]{64}\.tar\.gz$/.test(name))
    throw refuse('its name is not concord-runner-SHA256.tar.gz')
  const hash = createHash('sha256')
  try {
    await pipeline(createReadStream(path), hash)
  } catch (error) {
    throw refuse((error as Error).message, error)
  }
  if (archiveName(hash.digest('hex')) !== name) throw refuse('its content is not what its name says')
  return { path, name, bytes: (await stat(path)).size }
}
