import type { Program } from './programs.mjs'

export function bundlePrograms(
  sources: readonly Program[],
): Promise<readonly { readonly name: string; readonly contents: Uint8Array }[]>
export function bundlesAreStale(): boolean
