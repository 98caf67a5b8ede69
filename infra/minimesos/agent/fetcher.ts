/**
 * The fetcher: brings the URIs of a command into its sandbox before it starts.
 *
 *   U1. Nothing is written outside of the sandbox.
 *   U2. All or nothing: the first failure ends the task, and its reason is in the sandbox's `stderr`.
 *
 * An archive is unpacked only where `extract` says so (Mesos does it unless told not to). `cache` is accepted:
 * there is none.
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

const fetchTimeoutMs = 60_000

/** @throws {Error} That says which URI could not be had and why. */
export async function fetchAll(uris: readonly Uri[], sandbox: string, signal: AbortSignal): Promise<void> {
  for (const uri of uris) {
    try {
      await fetchOne(uri, sandbox, signal)
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause)
      throw new Error(`Failed to fetch '${uri.value}': ${reason}`, { cause })
    }
  }
}

async function fetchOne(uri: Uri, sandbox: string, signal: AbortSignal): Promise<void> {
  const target = targetOf(uri, sandbox)
  await mkdir(dirname(target), { recursive: true })
  if (/^https?:\/\//i.test(uri.value)) await download(uri.value, target, signal)
  else await copyFile(localPath(uri.value), target, constants.COPYFILE_FICLONE)
  if (uri.executable) await chmod(target, 0o755)
  else if (uri.extract) await extract(target, sandbox, signal)
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
  const bounded = AbortSignal.any([signal, AbortSignal.timeout(fetchTimeoutMs)])
  const response = await fetch(url, { signal: bounded })
  if (!response.ok || response.body === null) throw new Error(`the server answered ${response.status}`)
  await pipeline(Readable.fromWeb(response.body), createWriteStream(target), { signal: bounded })
}

async function extract(archive: string, sandbox: string, signal: AbortSignal): Promise<void> {
  const run = promisify(execFile)
  if (/\.(tar|tgz|tar\.gz|tbz2|tar\.bz2|txz|tar\.xz)$/.test(archive)) {
    await run('tar', ['-C', sandbox, '-xf', archive], { signal })
  } else if (archive.endsWith('.zip')) {
    await run('unzip', ['-q', '-o', archive, '-d', sandbox], { signal })
  }
}
