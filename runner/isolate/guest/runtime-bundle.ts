/**
 * RuntimeBundle: sdk/runtime as one text for isolates: of dist/ where that is as new as the sources, or from beside this file in
 * a runner's archive (runner/archive).
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
 * The script, whose value is the exports of isolate-main.ts. A runner calls this first, to have it ready when an assignment
 * arrives: a checkout whose sources are newer than what was built bundles it anew.
 */
export function runtimeBundle(): Promise<ivm.ExternalCopy<string>> {
  bundled ??= bundle()
  return bundled
}

/** The text, for another thread. */
export function runtimeText(): Promise<string> {
  text ??= readPrebuilt().then((prebuilt) => prebuilt ?? built())
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

async function built(): Promise<string> {
  const { isolateScript } = await import('../../../sdk/built.mjs') // not there in an archive, and not needed
  return await isolateScript('runtime.js')
}
