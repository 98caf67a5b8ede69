/**
 * Sources: returns the code of a version; the original source if its source map contains it.
 * @module
 */
import type { Store } from '../../infra/store/index.ts'
import { bundleFile, filesOf, type VersionSources } from '../../sdk/api/sources.ts'
import { isCode } from '../../sdk/errors.ts'
import type { LiveFunction } from '../catalog/catalog.ts'
import { refuse } from '../errors.ts'
import { documentOf } from './versions.ts'

/** The part of the bundle store that is needed here. */
export interface BundleReader {
  get(sha256: string): Promise<Uint8Array>
}

export interface SourceParts {
  readonly store: Store
  readonly namespace: string
  readonly bundles: BundleReader
}

/** @throws {CodedError} ERR_VERSION_UNKNOWN */
export async function sourcesOf(
  { store, namespace, bundles }: SourceParts,
  live: LiveFunction,
  version: number,
  kind: VersionSources['kind'],
): Promise<VersionSources> {
  const { name } = live
  const { bundleSha256, sourceMapSha256 } = await documentOf(store, namespace, live, version)
  try {
    const map = kind === 'bundle' || sourceMapSha256 === undefined ? undefined : await text(sourceMapSha256)
    const files = map === undefined ? undefined : filesOf(map)
    if (files !== undefined) return { name, version, kind: 'source', files }
    return { name, version, kind: 'bundle', files: { [bundleFile]: await text(bundleSha256) } }
  } catch (error) {
    if (!isCode(error, 'ERR_BUNDLE_MISSING')) throw error
    throw refuse(
      'ERR_VERSION_UNKNOWN',
      `Cannot show the code of v${version} of '${name}': it is not kept any more. \`concord fn versions ${name}\` shows the versions there are.`,
    )
  }

  async function text(sha256: string): Promise<string> {
    return new TextDecoder().decode(await bundles.get(sha256))
  }
}
