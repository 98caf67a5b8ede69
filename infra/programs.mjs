/**
 * Programs: the scripts that the platform runs as processes and threads, named by their sources, and where each one lies.
 *
 * Loading hundreds of source files takes longer than all else that a process does at its start. So the bootstrap bundles each
 * program into one file (program-bundles.mjs), and starts bundles.
 *
 *  PG1. A process that was started from a bundle starts bundles, which lie beside its own, as the scripts do that it runs in
 *       isolates; one that was started from the sources starts sources.
 *
 * Plain JavaScript, since the bootstrap uses it too.
 * @module
 */
import { readFile } from 'node:fs/promises'
import { extname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const programs = [
  'infra/local/up.ts',
  'infra/local/may-start.ts',
  'infra/local/down.ts',
  'infra/local/cluster.ts',
  'infra/local/print-config.ts',
  'infra/minimesos/main.ts',
  'infra/store/zookeeper/client-process.ts',
  'gateway/main.ts',
  'gateway/probe/child.ts',
  'scheduler/main.ts',
  'runner/main.ts',
  'runner/host-main.ts',
  'runner/gate/thread-main.ts',
]

/** What runs inside isolates, by its name in dist/. */
export const isolateScripts = ['runtime.js', 'probe-module.js', 'probe-globals.js']

const isBundle = extname(import.meta.url) === '.js'

/** The checkout. A runner's archive has none. */
export const root = fileURLToPath(new URL(isBundle ? '../..' : '..', import.meta.url))

/** @returns The name of a program's bundle. */
export function bundleName(source) {
  return source.replaceAll('/', '-').replace(/ts$/, 'js')
}

/** @returns The file from which this process starts a program (PG1). */
export function programFile(source) {
  return isBundle ? fileURLToPath(new URL(bundleName(source), import.meta.url)) : join(root, source)
}

/** @returns The bundle of a program, as the bootstrap has built it. */
export function bundleFile(source) {
  return join(root, 'dist', 'platform', bundleName(source))
}

/** @returns The text of a script for isolates: what was built with this process's bundle, or what the sources say now (PG1). */
export async function isolateScript(name) {
  if (isBundle) return await readFile(new URL(name, import.meta.url), 'utf8')
  const built = await import('../sdk/built.mjs')
  return await built.isolateScript(name)
}
