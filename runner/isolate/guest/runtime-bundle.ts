/**
 * RuntimeBundle: sdk/runtime as one text for an isolate, made once a process, or taken from beside this file, where a runner's
 * archive has it (runner/archive).
 *
 * It is an expression, which isolates evaluate from one shared copy of the text: V8 keeps the source of what it has
 * compiled, and a module's would be a copy of 150 KB in each isolate.
 * @module
 */
import { readFile } from 'node:fs/promises'
import ivm from 'isolated-vm'

/** Its name in stack traces, by which its frames are known and left out. */
export const runtimeFilename = 'concord-runtime.js'

let bundled: Promise<ivm.ExternalCopy<string>> | undefined
let text: Promise<string> | undefined

/**
 * The script, whose value is what isolate-main.ts exports. Bundling takes 20 to 30 ms on an idle machine: a runner calls this first thing, so that it is done
 * by the time that an assignment has come.
 */
export function runtimeBundle(): Promise<ivm.ExternalCopy<string>> {
  bundled ??= bundle()
  return bundled
}

/** The same, for another thread. */
export function runtimeText(): Promise<string> {
  text ??= readPrebuilt().then((prebuilt) => prebuilt ?? bundleOnce())
  return text
}

/** In that thread, before the first isolate. */
export function takeRuntimeText(given: string): void {
  text = Promise.resolve(given)
}

async function bundle(): Promise<ivm.ExternalCopy<string>> {
  return new ivm.ExternalCopy(`${await runtimeText()}//# sourceURL=${runtimeFilename}`)
}

function readPrebuilt(): Promise<string | undefined> {
  return readFile(new URL(runtimeFilename, import.meta.url), 'utf8').catch(() => undefined)
}

async function bundleOnce(): Promise<string> {
  const [{ bundleRuntime }, { stop }] = await Promise.all([
    import('../../../sdk/runtime-bundle.mjs'),
    import('esbuild'),
  ])
  const made = await bundleRuntime()
  await stop() // esbuild's service would stay as a process of 10 MB
  return made
}
