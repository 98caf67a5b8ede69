/**
 * LoadedAssets: the assets of the version, as the function sees them.
 *
 * The function may get hold of their memory. It must not get hold of other memory that is shared with the host
 * (primordials.ts, P1).
 * @module
 */
import type { Asset } from '../../function.ts'
import { runtimeError } from '../errors.ts'
import { Bytes, defineValue, fromJson, lengthOf } from '../realm/primordials.ts'
import { utf8Read } from '../realm/utf8.ts'

export class LoadedAssets {
  readonly #function: string
  readonly #version: number
  readonly #assets = new Map<string, Asset>()

  constructor(name: string, version: number) {
    this.#function = name
    this.#version = version
  }

  add(name: string, memory: ArrayBufferLike): void {
    this.#assets.set(name, assetOf(memory))
  }

  /** @throws {CodedError} ERR_ASSET_MISSING */
  get(name: string): Asset {
    const asset = this.#assets.get(name)
    if (asset !== undefined) return asset
    const names = [...this.#assets.keys()].map((known) => `'${known}'`)
    const has = names.length === 0 ? 'it has none' : `it has ${names.join(', ')}`
    // Whoever shows the error adds the place of the call at the end: " at fn.ts:3:19".
    throw runtimeError(
      'ERR_ASSET_MISSING',
      `v${this.#version} of '${this.#function}' lacks asset '${String(name)}' (${has}; \`concord asset push ${this.#function} ${String(name)}\` adds it), which it reads`,
    )
  }
}

/** One view for all calls, so that a callback that asks repeatedly allocates nothing. */
function assetOf(memory: ArrayBufferLike): Asset {
  const bytes = new Bytes(memory)
  defineValue(bytes, 'text', () => textOf(bytes))
  defineValue(bytes, 'json', () => fromJson(textOf(bytes)))
  return bytes as Uint8Array as Asset
}

function textOf(bytes: Uint8Array): string {
  return utf8Read(bytes, 0, lengthOf(bytes))
}
