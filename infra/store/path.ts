/**
 * Paths of the store: what every implementation can hold.
 * @module
 */
import { infraError } from '../errors.ts'

const pathPattern = /^(\/[A-Za-z0-9_][A-Za-z0-9._-]*)+$/
const pathCharsMax = 512
const leaderPattern = /^[a-z][a-z0-9-]{0,62}$/

/** @throws {CodedError} ERR_STORE_PATH */
export function checkPath(path: string): void {
  if (pathPattern.test(path) && path.length <= pathCharsMax) return
  throw infraError(
    'ERR_STORE_PATH',
    `Cannot use store path '${path.slice(0, 100)}': expected /NAME/NAME…, each of letters, digits, '.', '_', '-' and ` +
      `not beginning with '.' or '-', at most ${pathCharsMax} characters`,
  )
}

/** Like checkPath, but also accepts the root: it has no document, but can be listed and watched. */
export function checkPrefix(path: string): void {
  if (path !== '/') checkPath(path)
}

/** @throws {CodedError} ERR_STORE_PATH */
export function checkLeaderName(name: string): void {
  if (leaderPattern.test(name)) return
  throw infraError('ERR_STORE_PATH', `Cannot lead '${name.slice(0, 100)}': expected a lower-case name`)
}

/** True if `path` lies at or under `prefix`. */
export function covers(prefix: string, path: string): boolean {
  return prefix === '/' || path === prefix || path.startsWith(`${prefix}/`)
}
