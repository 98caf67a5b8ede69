/**
 * Sources: the bundles and assets of the functions in a runner, each fetched once for all instances.
 *
 * It uses a connection of its own, open only while it fetches: JetStream on a full disk blocks every connection that
 * uses it.
 *
 *   SO1. An asset is in memory once. Its hash is checked before it is given to another instance, since an instance
 *        could have written to it.
 *   SO2. Nothing is fetched that would take the process beyond its soft bound; a small asset, beyond its bound: a busy process is often
 *        above the soft one, and what a model of a few numbers adds does not matter.
 * Design: docs/design/0029-assets.md
 * @module
 */
import { hasHash, openAssets, openBundles } from '../../infra/bundles/index.ts'
import { type BusOptions, connectBus, type NatsConnection } from '../../infra/bus/index.ts'
import type { AssignedCode, FunctionAssignment } from '../../infra/control/messages/assignment.ts'
import { CodedError } from '../../sdk/errors.ts'
import { memorySoftShare } from '../../sdk/manifest/manifest.ts'
import type { HeldAssets, IsolateErrorCode } from '../isolate/index.ts'
import type { Memory } from '../process/memory.ts'

/** An asset up to this size is small. */
const smallBytesMax = 2 ** 20

interface Code {
  readonly bundle: string
  readonly sourceMap?: string
}

export interface Source extends Code {
  readonly assets: HeldAssets
}

export interface SourcesOptions {
  readonly bus: BusOptions
  readonly memory: Pick<Memory, 'roomFor'>
  readonly warn: (fn: FunctionAssignment, message: string) => void
}

interface Content {
  readonly memory: Promise<SharedArrayBuffer>
  readonly bytes: number
  /** Whether it was given to an isolate, which may have written to it. */
  isGiven: boolean
}

function hashesOf({ bundleSha256, sourceMapSha256 }: AssignedCode): string {
  return `${bundleSha256} ${sourceMapSha256}`
}

export class Sources {
  readonly #options: SourcesOptions
  /** By the hashes of bundle and source map: a canary's are here beside the live version's. */
  readonly #known = new Map<string, Promise<Code>>()
  /** By hash. */
  readonly #contents = new Map<string, Content>()

  constructor(options: SourcesOptions) {
    this.#options = options
  }

  /** @throws {CodedError} ERR_BUNDLE_MISSING, ERR_BUNDLE_CORRUPT, ERR_BUNDLE_STORE, ERR_MEMORY */
  async get(fn: FunctionAssignment): Promise<Source> {
    const [code, assets] = await Promise.all([this.#code(fn), this.#assets(fn)])
    return { ...code, assets }
  }

  /** Releases what neither wanted nor running versions refer to. */
  keepOnly(wanted: readonly FunctionAssignment[], atWork: readonly FunctionAssignment[]): void {
    const all: AssignedCode[] = [...wanted, ...atWork].flatMap((fn) =>
      [fn, fn.canary ?? [], fn.shadow ?? []].flat(),
    )
    const code = all.map(hashesOf)
    for (const hashes of this.#known.keys()) if (!code.includes(hashes)) this.#known.delete(hashes)
    const kept = new Set(all.flatMap(({ assets = {} }) => Object.values(assets).map(({ sha256 }) => sha256)))
    for (const sha256 of this.#contents.keys()) if (!kept.has(sha256)) this.#contents.delete(sha256)
  }

  /** Bytes of all assets in memory. */
  get assetBytes(): number {
    return [...this.#contents.values()].reduce((sum, { bytes }) => sum + bytes, 0)
  }

  #code(fn: FunctionAssignment): Promise<Code> {
    const hashes = hashesOf(fn)
    const known = this.#known.get(hashes)
    if (known !== undefined) return known
    const code = this.#connected((nc) => fetchCode(nc, fn))
    this.#known.set(hashes, code)
    code.catch(() => {
      if (this.#known.get(hashes) === code) this.#known.delete(hashes) // the next start tries again
    })
    return code
  }

  async #assets(fn: FunctionAssignment): Promise<HeldAssets> {
    const held = new Map<string, { readonly sha256: string; readonly memory: SharedArrayBuffer }>()
    for (const [name, { sha256, bytes }] of Object.entries(fn.assets ?? {}))
      held.set(name, { sha256, memory: await this.#content(fn, name, sha256, bytes) })
    return held
  }

  async #content(
    fn: FunctionAssignment,
    name: string,
    sha256: string,
    bytes: number,
  ): Promise<SharedArrayBuffer> {
    for (;;) {
      const known = this.#contents.get(sha256)
      if (known === undefined) {
        const memory = this.#fetch(fn, name, sha256, bytes)
        const content = { memory, bytes, isGiven: false }
        this.#contents.set(sha256, content)
        memory.catch(() => this.#forget(sha256, content))
        continue
      }
      const memory = await known.memory
      if (!known.isGiven || (await hasHash(memory, sha256))) {
        known.isGiven = true
        return memory
      }
      this.#forget(sha256, known)
      this.#options.warn(
        fn,
        `An instance has written to asset '${name}', which is for reading: it is fetched anew`,
      )
    }
  }

  async #fetch(
    fn: FunctionAssignment,
    name: string,
    sha256: string,
    bytes: number,
  ): Promise<SharedArrayBuffer> {
    const share = bytes <= smallBytesMax ? 1 : memorySoftShare
    const lack = this.#options.memory.roomFor(fn, share).lacks(bytes)
    if (lack === undefined) return await this.#connected(async (nc) => (await openAssets(nc)).fetch(sha256))
    const size = bytes < 2 ** 20 ? `${bytes} bytes` : `${Math.ceil(bytes / 2 ** 20)} MiB`
    const what = `Cannot hold asset '${name}' of '${fn.function}' v${fn.version}, ${size}`
    throw new CodedError<IsolateErrorCode>('ERR_MEMORY', `${what}: ${lack}`)
  }

  #forget(sha256: string, content: Content): void {
    if (this.#contents.get(sha256) === content) this.#contents.delete(sha256)
  }

  async #connected<T>(use: (nc: NatsConnection) => Promise<T>): Promise<T> {
    const nc = await connectBus(this.#options.bus)
    try {
      return await use(nc)
    } finally {
      await nc.close()
    }
  }
}

async function fetchCode(
  nc: NatsConnection,
  { bundleSha256, sourceMapSha256 }: FunctionAssignment,
): Promise<Code> {
  const bundles = await openBundles(nc)
  const text = async (sha256: string): Promise<string> => new TextDecoder().decode(await bundles.get(sha256))
  const [bundle, sourceMap] = await Promise.all([
    text(bundleSha256),
    sourceMapSha256 === undefined ? undefined : text(sourceMapSha256),
  ])
  return { bundle, ...(sourceMap === undefined ? {} : { sourceMap }) }
}
