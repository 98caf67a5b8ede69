/**
 * Fetcher: fetches the URIs of a command into its sandbox before the command starts.
 *
 *   U1. Nothing is written outside of the sandbox.
 *   U2. All or nothing: the first failure ends the task, and its reason is in the sandbox's `stderr`.
 *   U3. As in Mesos, an archive is unpacked unless `extract` is false or it is executable; a cached one is unpacked from the cache,
 *       without a copy in the sandbox.
 * @module
 */
import { execFile } from 'node:child_process'
import { constants, createWriteStream } from 'node:fs'
import { chmod, copyFile, mkdir } from 'node:fs/promises'
import { basename, dirname, isAbsolute, join, relative } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { Uri } from '../wire/index.ts'
import type { FetchCache } from './fetch-cache.ts'

/** Mesos's `--fetcher_stall_timeout`: a download without data for this long is given up. */
const stallMs = 60_000

export interface FetchOptions {
  readonly sandbox: string
  readonly cache: FetchCache
  readonly signal: AbortSignal
}

/** @throws {Error} Naming the URI that could not be fetched, and why. */
export async function fetchAll(uris: readonly Uri[], options: FetchOptions): Promise<void> {
  for (const uri of uris) {
    try {
      await fetchOne(uri, options)
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause)
      throw new Error(`Failed to fetch '${uri.value}': ${reason}`, { cause })
    }
  }
}

async function fetchOne(uri: Uri, { sandbox, cache, signal }: FetchOptions): Promise<void> {
  const target = targetOf(uri, sandbox)
  const unpacks = uri.executable !== true && uri.extract !== false && isArchive(target)
  await mkdir(dirname(target), { recursive: true })
  if (uri.cache !== true) {
    await bring(uri.value, target, signal)
    if (unpacks) await extract(target, target, sandbox, signal)
  } else {
    // Not bound to the first task's signal: other tasks may wait for the file.
    const fetch = (path: string) => bring(uri.value, path, new AbortController().signal)
    await cache.with(uri.value, fetch, async (path) => {
      signal.throwIfAborted()
      if (unpacks) await extract(path, target, sandbox, signal)
      else await copyFile(path, target, constants.COPYFILE_FICLONE)
    })
  }
  if (uri.executable) await chmod(target, 0o755)
}

async function bring(value: string, target: string, signal: AbortSignal): Promise<void> {
  if (/^https?:\/\//i.test(value)) await download(value, target, signal)
  else await copyFile(localPath(value), target, constants.COPYFILE_FICLONE)
}

function targetOf(uri: Uri, sandbox: string): string {
  const name = uri.output_file ?? basename(uri.value.replace(/[?#].*$/s, ''))
  const target = join(sandbox, name)
  const inside = relative(sandbox, target)
  if (inside === '' || inside.startsWith('..') || isAbsolute(name)) {
    throw new Error(`'${name}' is not a file within the sandbox`)
  }
  return target
}

function localPath(value: string): string {
  const path = value.startsWith('file:') ? fileURLToPath(value) : value
  if (!isAbsolute(path)) throw new Error('only absolute paths, file: and http(s): URLs are fetched')
  return path
}

async function download(url: string, target: string, signal: AbortSignal): Promise<void> {
  const stalled = new AbortController()
  const giveUp = () => stalled.abort(new Error(`nothing came for ${stallMs / 1000} s`))
  let timer = setTimeout(giveUp, stallMs)
  const bounded = AbortSignal.any([signal, stalled.signal])
  try {
    const response = await fetch(url, { signal: bounded })
    if (!response.ok || response.body === null) throw new Error(`the server answered ${response.status}`)
    const watched = async function* (chunks: AsyncIterable<Uint8Array>) {
      for await (const chunk of chunks) {
        clearTimeout(timer)
        timer = setTimeout(giveUp, stallMs)
        yield chunk
      }
    }
    await pipeline(Readable.fromWeb(response.body), watched, createWriteStream(target), { signal: bounded })
  } finally {
    clearTimeout(timer)
  }
}

const tarNames = /\.(tar|tgz|tar\.gz|tbz2|tar\.bz2|txz|tar\.xz)$/
const isArchive = (name: string): boolean => tarNames.test(name) || name.endsWith('.zip')

/** @param name Its ending tells the kind of archive. */
async function extract(archive: string, name: string, sandbox: string, signal: AbortSignal): Promise<void> {
  const run = promisify(execFile)
  if (tarNames.test(name)) await run('tar', ['-C', sandbox, '-xf', archive], { signal })
  else await run('unzip', ['-q', '-o', archive, '-d', sandbox], { signal })
}
