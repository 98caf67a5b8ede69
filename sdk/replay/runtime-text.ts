/**
 * RuntimeText: reads sdk/runtime as one script, whose value is what isolate-main.ts exports. `sdk/build.mjs` makes
 * it.
 * @module
 */
import { existsSync, readFileSync } from 'node:fs'

/** The path of dist/, from dist/chunks/, dist/ and sdk/replay/. */
const places = ['../runtime.js', './runtime.js', '../../dist/runtime.js']

/** @throws {Error} If the sdk was not built. */
export function runtimeText(): string {
  const found = places.map((place) => new URL(place, import.meta.url)).find((url) => existsSync(url))
  if (found === undefined) throw new Error('Cannot find dist/runtime.js: `node sdk/build.mjs` makes it')
  return readFileSync(found, 'utf8')
}
