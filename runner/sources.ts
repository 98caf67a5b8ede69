/**
 * Sources: the bundles of the functions that a runner hosts, each fetched once however many instances it has.
 *
 * By a connection of its own, open while something is fetched: JetStream on a full disk freezes each connection that asks
 * it for something.
 * @module
 */
import { openBundles } from '../infra/bundles/index.ts'
import { type BusOptions, connectBus } from '../infra/bus/index.ts'
import type { FunctionAssignment } from '../infra/control/messages.ts'

export interface Source {
  readonly bundle: string
  readonly sourceMap?: string
}

export class Sources {
  readonly #bus: BusOptions
  /** Of each function, that of its latest version. */
  readonly #known = new Map<string, { readonly sha256: string; readonly source: Promise<Source> }>()

  constructor(bus: BusOptions) {
    this.#bus = bus
  }

  /** @throws {CodedError} ERR_BUNDLE_MISSING, ERR_BUNDLE_CORRUPT */
  get(fn: FunctionAssignment): Promise<Source> {
    const { function: name, bundleSha256, sourceMapSha256 } = fn
    const sha256 = `${bundleSha256} ${sourceMapSha256}`
    const known = this.#known.get(name)
    if (known?.sha256 === sha256) return known.source
    const source = this.#fetch(fn)
    this.#known.set(name, { sha256, source })
    source.catch(() => this.#known.delete(name)) // the next start tries again
    return source
  }

  /** Forgets all but these functions. */
  keepOnly(names: ReadonlySet<string>): void {
    for (const name of this.#known.keys()) if (!names.has(name)) this.#known.delete(name)
  }

  async #fetch({ bundleSha256, sourceMapSha256 }: FunctionAssignment): Promise<Source> {
    const nc = await connectBus(this.#bus)
    try {
      const bundles = await openBundles(nc)
      const text = async (sha256: string): Promise<string> =>
        new TextDecoder().decode(await bundles.get(sha256))
      const [bundle, sourceMap] = await Promise.all([
        text(bundleSha256),
        sourceMapSha256 === undefined ? undefined : text(sourceMapSha256),
      ])
      return { bundle, ...(sourceMap === undefined ? {} : { sourceMap }) }
    } finally {
      await nc.close()
    }
  }
}
