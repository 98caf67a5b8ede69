/**
 * Bundles sdk/runtime for an isolate. Plain JavaScript, as `build.mjs` is, which runs on whatever Node the machine has.
 * @module
 */
import { fileURLToPath } from 'node:url'

/** @returns A script in strict code, which so keeps its variables to itself; its value is what isolate-main.ts exports. */
export async function bundleRuntime() {
  const { build } = await import('esbuild')
  const { outputFiles } = await build({
    entryPoints: [fileURLToPath(new URL('./runtime/isolate-main.ts', import.meta.url))],
    bundle: true,
    write: false,
    format: 'iife',
    globalName: 'runtime',
    platform: 'neutral',
    target: 'es2024',
    minifyWhitespace: true,
    minifySyntax: true,
    legalComments: 'none',
    logLevel: 'silent',
  })
  return `'use strict';${outputFiles[0].text};runtime\n`
}
