/**
 * Assets: files beside a version's bundle, each by a name and under the sha256 of its bytes. Pure.
 * Design: docs/design/0029-assets.md
 * @module
 */
import type { Change } from './changes.ts'

export interface AssetRef {
  /** Hex sha256 of its bytes. */
  readonly sha256: string
  readonly bytes: number
}
/** The assets of a version, by name. */
export type AssetRefs = Readonly<Record<string, AssetRef>>

/** A plain file name, without folders. */
export const assetNamePattern = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}$/
export const assetNameForm =
  "expected a plain file name: letters, digits, '_', '-' and '.', not first a '.', at most 100"
export const assetBytesMax = 512 * 2 ** 20
/** The most assets of one version. */
export const assetsMax = 32

/** The folder beside a project's file whose files are deployed with it. */
export const assetsFolder = 'assets'

/** The memory that assets take: the same content counts once, under however many names. */
export function assetBytesOf(...all: readonly AssetRefs[]): number {
  const contents = new Map(
    all.flatMap((assets) => Object.values(assets)).map((one) => [one.sha256, one.bytes]),
  )
  return [...contents.values()].reduce((sum, bytes) => sum + bytes, 0)
}

/** The differences by name, as in `0123456789ab (12 bytes)`. */
export function assetChanges(before: AssetRefs, after: AssetRefs): Change[] {
  const names = [...new Set([...Object.keys(before), ...Object.keys(after)])].sort()
  return names.flatMap((path): Change[] => {
    const [was, is] = [before[path], after[path]]
    if (was?.sha256 === is?.sha256) return []
    return [{ path, ...(was && { before: wordsOf(was) }), ...(is && { after: wordsOf(is) }) }]
  })
}

function wordsOf({ sha256, bytes }: AssetRef): string {
  return `${sha256.slice(0, 12)} (${bytes} bytes)`
}
