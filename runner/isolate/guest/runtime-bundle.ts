/**
 * RuntimeBundle: sdk/runtime as one text for isolates, bundled once a process, or read from beside this file in a
 * runner's archive (runner/archive).
 *
 * It is an expression, evaluated from one shared copy of the text: V8 keeps the source of compiled code, and a module
 * would cost each isolate a copy of 150 KB.
 * @module
 */
import { readFile } from 'node:fs/promises'
import ivm from 'isolated-vm'

/** Its name in stack traces, by which its frames are recognized and left out. */
export const runtimeFilename = 'concord-runtime.js'

let bundled: Promise<ivm.ExternalCopy<string>> | undefined
let text: Promise<string> | undefined

/**
 * The script, whose value is the exports of isolate-main.ts. Bundling takes 20 to 30 ms on an idle machine, so a
 * runner calls this first, to have it ready when an assignment arrives.
 */
export function runtimeBundle(): Promise<ivm.ExternalCopy<string>> {
  bundled ??= bundle()
  return bundled
}

/** The text, for another thread. */
export function runtimeText(): Promise<string> {
  text ??= readPrebuilt().then((prebuilt) => prebuilt ?? bundleOnce())
  return text
}

/** Sets the text in that thread, before its first isolate. */
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
