/**
 * RuntimeBundle: sdk/runtime as one text for isolates, from where programs.mjs says.
 *
 * It is an expression, evaluated from one shared copy of the text: V8 keeps the source of compiled code, and a module
 * would cost each isolate a copy of 150 KB.
 * @module
 */
import ivm from 'isolated-vm'
import { isolateScript } from '../../../infra/programs.mjs'

/** Its name in stack traces, by which its frames are recognized and left out. */
const runtimeFilename = 'concord-runtime.js'

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
  text ??= isolateScript('runtime.js')
  return text
}

/** Sets the text in that thread, before its first isolate. */
export function takeRuntimeText(given: string): void {
  text = Promise.resolve(given)
}

async function bundle(): Promise<ivm.ExternalCopy<string>> {
  return new ivm.ExternalCopy(`${await runtimeText()}//# sourceURL=${runtimeFilename}`)
}
