/**
 * Deploy: from an upload to a version that the scheduler will run.
 *
 *   D1. Whatever is refused leaves nothing behind in the store: all checks come first, then the bundle, then the streams,
 *       the version, and last the function document, which is what makes the version the wanted one.
 *   D2. A version is never changed; the same bundle and manifest as the live version make no new one.
 * @module
 */
import { createHash } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'
import type { Clock } from '../../infra/clock.ts'
import {
  type FunctionDocument,
  paths,
  type Store,
  type StreamDocument,
  upsert,
  type VersionDocument,
} from '../../infra/store/index.ts'
import type { DeployAnswer } from '../../sdk/api.ts'
import { isCode } from '../../sdk/errors.ts'
import { type Manifest, partitionsDefault } from '../../sdk/manifest.ts'
import type { Catalog, LiveFunction } from '../catalog/catalog.ts'
import { refuse } from '../errors.ts'
import type { Probed, Prober, Upload } from '../probe/index.ts'
import { makeManifest } from './manifest.ts'
import { checkCycles, checkPartitions, checkQueues, namedStreams } from './topology-checks.ts'

/** What a deploy needs of the bundle store. */
export interface BundleSink {
  /** @returns Hex sha256. */
  put(bytes: Uint8Array): Promise<string>
}

export interface DeployerOptions {
  readonly store: Store
  readonly bundles: BundleSink
  readonly prober: Prober
  readonly catalog: Catalog
  readonly namespace: string
  readonly clock: Clock
  /** Deletes the state that an earlier function of that name has left. */
  readonly forgetState: (name: string) => Promise<void>
}

export class Deployer {
  readonly #options: DeployerOptions
  /** Deploys check the topology and change it one after the other. */
  #turn: Promise<unknown> = Promise.resolve()

  constructor(options: DeployerOptions) {
    this.#options = options
  }

  /** @throws {CodedError} Why it was refused. */
  async deploy(upload: Upload, uploadedManifest: unknown): Promise<DeployAnswer> {
    const probed = await this.#options.prober.probe(upload)
    const manifest = makeManifest(probed.metadata, probed.callbacks, uploadedManifest)
    return await this.inTurn(() => this.#commit(probed, manifest))
  }

  /** Does what must not happen while a deploy looks at the topology. */
  inTurn<T>(change: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(change)
    this.#turn = turn.catch(() => undefined)
    return turn
  }

  async #commit(probed: Probed, manifest: Manifest): Promise<DeployAnswer> {
    const { catalog } = this.#options
    const { name } = manifest
    await catalog.refresh()
    const live = catalog.current.functions.get(name)
    if (live?.document.deleted) throw deleting(name)
    this.#check(manifest)
    const bundleSha256 = createHash('sha256').update(probed.bundle).digest('hex')
    const same =
      live?.version.bundleSha256 === bundleSha256 && isDeepStrictEqual(live.version.manifest, manifest)
    const version = same ? live.version.version : await this.#addVersion(probed, manifest)
    // A name deployed anew is not its old self; and what a function kept before it kept none has been overtaken.
    if (live === undefined || keepsAgain(live.version.manifest, manifest))
      await this.#options.forgetState(name)
    if (!same || live.document.instances !== manifest.instances) await this.#want(manifest, version)
    await catalog.refresh()
    return { name, version, bundleSha256, changed: !same }
  }

  #check(manifest: Manifest): void {
    const { functions, streams } = this.#options.catalog.current
    const partitionsOf = (stream: string) => streams.get(stream)?.document.partitions ?? partitionsDefault
    const staying = [...functions.values()].filter(({ document }: LiveFunction) => !document.deleted)
    checkPartitions(manifest, partitionsOf)
    checkQueues(manifest, functions.get(manifest.name)?.version.manifest)
    checkCycles(
      manifest,
      staying.map(({ version }) => version.manifest),
    )
  }

  async #addVersion({ bundle, sourceMap }: Probed, manifest: Manifest): Promise<number> {
    const { clock } = this.#options
    const bundleSha256 = await this.#putBundle(bundle)
    const sourceMapSha256 = sourceMap.length === 0 ? undefined : await this.#putBundle(sourceMap)
    for (const stream of namedStreams(manifest)) await this.#ensureStream(stream)
    return await this.#createVersion({
      schema: 1,
      bundleSha256,
      bundleBytes: bundle.length,
      ...(sourceMapSha256 === undefined ? {} : { sourceMapSha256 }),
      manifest,
      deployedAtMs: clock.nowMs(),
    })
  }

  async #putBundle(bytes: Uint8Array): Promise<string> {
    try {
      return await this.#options.bundles.put(bytes)
    } catch (error) {
      if (!isCode(error, 'ERR_BUNDLE_STORE')) throw error
      const full = /\bis full\b/.test(error.message)
      if (!full)
        throw refuse(
          'ERR_BACKEND',
          `Cannot store the bundle: ${error.message}. Nothing was changed; try again.`,
        )
      throw refuse(
        'ERR_STORAGE_FULL',
        `Cannot store the bundle: ${error.message}. Nothing was changed; make room and deploy again.`,
      )
    }
  }

  async #ensureStream(stream: string): Promise<void> {
    const document: StreamDocument = { schema: 1, partitions: partitionsDefault, raw: false }
    try {
      await this.#options.store.create(paths.stream(this.#options.namespace, stream), document)
    } catch (error) {
      if (!isCode(error, 'ERR_STORE_EXISTS')) throw error
    }
  }

  /** The number behind the highest; another gateway may take it first. */
  async #createVersion(document: Omit<VersionDocument, 'version'>): Promise<number> {
    const { store, namespace } = this.#options
    const { name } = document.manifest
    for (;;) {
      const numbers = (await store.list(paths.versions(namespace, name))).map(Number)
      const version = Math.max(0, ...numbers) + 1
      try {
        await store.create(paths.version(namespace, name, version), { ...document, version })
        return version
      } catch (error) {
        if (!isCode(error, 'ERR_STORE_EXISTS')) throw error
      }
    }
  }

  async #want({ name, instances }: Manifest, version: number): Promise<void> {
    const { store, namespace, clock } = this.#options
    await upsert<FunctionDocument>(store, paths.function(namespace, name), (before) => {
      if (before?.deleted) throw deleting(name)
      return { schema: 1, createdAtMs: clock.nowMs(), ...before, version, instances }
    })
  }
}

function deleting(name: string): Error {
  return refuse(
    'ERR_FUNCTION_DELETING',
    `Cannot deploy '${name}': the function of that name is being deleted. Try again when \`concord fn ls\` does not show it any more.`,
  )
}

function keepsAgain(before: Manifest, now: Manifest): boolean {
  return before.checkpoint === false && now.checkpoint !== false
}
