/**
 * VersionWriter: stores a version's code, streams and document where the scheduler and the runners find them.
 * @module
 */
import type { Clock } from '../../infra/clock.ts'
import { paths, type Store, type StreamDocument, type VersionDocument } from '../../infra/store/index.ts'
import { isCode } from '../../sdk/errors.ts'
import { partitionsDefault } from '../../sdk/manifest/manifest.ts'
import { namedStreams } from '../catalog/catalog.ts'
import type { Probed } from '../probe/index.ts'
import { annotationsOf, type DeployRequest } from './request.ts'
import { stored } from './store-trouble.ts'

/** What a deploy needs of the bundle store. */
export interface BundleSink {
  /** @returns Hex sha256. */
  put(bytes: Uint8Array): Promise<string>
}

export interface VersionWriterOptions {
  readonly store: Store
  readonly bundles: BundleSink
  readonly namespace: string
  readonly clock: Clock
}

/** The parts of a version document that a deploy sets, besides the code. */
export type VersionDraft = Pick<
  VersionDocument,
  'manifest' | 'manifestResources' | 'assets' | 'migrates' | 'stateFormat'
>

export class VersionWriter {
  readonly #options: VersionWriterOptions

  constructor(options: VersionWriterOptions) {
    this.#options = options
  }

  /** Creates a version with new code or a new manifest. @returns Its number. */
  async add({ bundle, sourceMap }: Probed, draft: VersionDraft, request: DeployRequest): Promise<number> {
    const code = await this.putCode({ bundle, sourceMap })
    for (const stream of namedStreams(draft.manifest)) await this.#ensureStream(stream)
    const deployedAtMs = this.#options.clock.nowMs()
    const version = {
      schema: 1,
      ...code,
      bundleBytes: bundle.length,
      ...draft,
      deployedAtMs,
      ...annotationsOf(request),
    } as const
    return await this.#create(version, draft.migrates === true)
  }

  /** Creates a version with the same code. @returns Its number. */
  async follow(
    { version: _, author: __, message: ___, ...before }: VersionDocument,
    change: Partial<VersionDraft>,
    request: DeployRequest,
  ): Promise<number> {
    const deployedAtMs = this.#options.clock.nowMs()
    return await this.#create({ ...before, ...change, deployedAtMs, ...annotationsOf(request) }, false)
  }

  /** Stores code where runners find it. */
  async putCode({
    bundle,
    sourceMap,
  }: Pick<Probed, 'bundle' | 'sourceMap'>): Promise<
    Pick<VersionDocument, 'bundleSha256' | 'sourceMapSha256'>
  > {
    const bundleSha256 = await this.#putBundle(bundle)
    return sourceMap.length === 0
      ? { bundleSha256 }
      : { bundleSha256, sourceMapSha256: await this.#putBundle(sourceMap) }
  }

  #putBundle(bytes: Uint8Array): Promise<string> {
    return stored('the bundle', () => this.#options.bundles.put(bytes))
  }

  async #ensureStream(stream: string): Promise<void> {
    const document: StreamDocument = { schema: 1, partitions: partitionsDefault, raw: false }
    try {
      await this.#options.store.create(paths.stream(this.#options.namespace, stream), document)
    } catch (error) {
      if (!isCode(error, 'ERR_STORE_EXISTS')) throw error
    }
  }

  /**
   * Creates the version under the next free number; another gateway may take that first.
   * @param isFormat Its state begins a new format.
   */
  async #create(document: Omit<VersionDocument, 'version'>, isFormat: boolean): Promise<number> {
    const { store, namespace } = this.#options
    const { name } = document.manifest
    for (;;) {
      const numbers = (await store.list(paths.versions(namespace, name))).map(Number)
      const version = Math.max(0, ...numbers) + 1
      try {
        const begins = isFormat ? { stateFormat: version } : {}
        await store.create(paths.version(namespace, name, version), { ...document, ...begins, version })
        return version
      } catch (error) {
        if (!isCode(error, 'ERR_STORE_EXISTS')) throw error
      }
    }
  }
}
