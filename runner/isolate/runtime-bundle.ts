/**
 * RuntimeBundle: sdk/runtime as one module for an isolate, made once a process.
 * @module
 */
import { fileURLToPath } from 'node:url'
import { buildSync } from 'esbuild'

/** The module's name in stack traces, by which its frames are known and left out. */
export const runtimeFilename = 'concord-runtime.js'

let bundled: string | undefined

/** The source text. Bundling takes some 20 ms; without a service that would stay behind as a process. */
export function runtimeBundle(): string {
  bundled ??= bundle()
  return bundled
}

function bundle(): string {
  const entry = fileURLToPath(new URL('../../sdk/runtime/isolate-main.ts', import.meta.url))
  const { outputFiles } = buildSync({
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
  return outputFiles[0]!.text
}
