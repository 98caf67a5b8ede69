/**
 * RuntimeBundle: sdk/runtime as one module for an isolate, made once a process.
 * @module
 */
import { fileURLToPath } from 'node:url'
import { build, stop } from 'esbuild'

/** The module's name in stack traces, by which its frames are known and left out. */
export const runtimeFilename = 'concord-runtime.js'

let bundled: Promise<string> | undefined

/**
 * The source text. Bundling takes 20 to 30 ms on an idle machine: a runner calls this first thing, so that it is done
 * by the time that an assignment has come.
 */
export function runtimeBundle(): Promise<string> {
  bundled ??= bundle()
  return bundled
}

async function bundle(): Promise<string> {
  const entry = fileURLToPath(new URL('../../sdk/runtime/isolate-main.ts', import.meta.url))
  const { outputFiles } = await build({
    entryPoints: [entry],
    bundle: true,
    write: false,
    format: 'esm',
    platform: 'neutral',
    target: 'es2024',
    minifyWhitespace: true,
    minifySyntax: true,
    legalComments: 'none',
    logLevel: 'silent',
  })
  await stop() // esbuild's service would stay as a process of 10 MB
  return outputFiles[0]!.text
}
