import type { Program } from './programs.mjs'

export function bundlePrograms(sources: readonly Program[]): Promise<{
  readonly files: readonly { readonly name: string; readonly contents: Uint8Array }[]
  readonly inputs: readonly string[]
}>
export function bundlesAreStale(): boolean
export function bundlesAreWhole(): boolean
