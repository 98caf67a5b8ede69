/**
 * Inputs: of which files something was built, and whether they are the same now: by time and size, and where the time differs by
 * content, since an older file may be put back, and a copy has another time. Plain JavaScript without dependencies: the bootstrap
 * uses it too.
 * @module
 */
import { createHash } from 'node:crypto'
import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'

/**
 * What is written down of files once something was built of them: by path, time, size and hash. Of one that changed meanwhile, nothing,
 * which differs from any.
 * @param startedMs When the build began.
 */
export function seenInputs(root, paths, startedMs) {
  return Object.fromEntries(paths.map((path) => [path, seenSince(join(root, path), startedMs)]))
}

/** True if one of them is not what was written down. */
export function inputsDiffer(root, seen) {
  return Object.entries(seen).some(([path, [mtimeMs, size, hash]]) => {
    const now = statSync(join(root, path), { throwIfNoEntry: false })
    if (now === undefined || now.size !== size) return true
    return now.mtimeMs !== mtimeMs && hashOf(join(root, path)) !== hash
  })
}

function seenSince(file, startedMs) {
  const now = statSync(file, { throwIfNoEntry: false })
  return now === undefined || now.ctimeMs >= startedMs ? [] : [now.mtimeMs, now.size, hashOf(file)]
}

function hashOf(file) {
  return createHash('sha256').update(readFileSync(file)).digest('base64url')
}
