/**
 * Collector: removes what no instance will run any more: old versions, and bundles and assets that no version refers
 * to.
 *
 *   L1. The newest 100 versions of each function are kept, and also the wanted one and those that instances run.
 *   L2. A bundle is removed only if no version of any namespace refers to it, and nobody had touched it for an hour
 *       when it was listed. A deploy touches its bundle before it writes the version, and takes far less than an
 *       hour; a bundle touched since it was listed is not removed (B5 of bundles.ts). So no version loses its
 *       bundle, even if another gateway deploys the same code at that moment.
 *   L3. Parts of an unfinished upload are removed when nothing was added for an hour; a stalled upload is ended long
 *       before.
 *   L4. Collecting twice does no harm, and what could not be removed is tried again the next time.
 * @module
 */
import type { StoredBundle } from '../../infra/bundles/index.ts'
import type { Clock } from '../../infra/clock.ts'
import type { Log } from '../../infra/log.ts'
import { paths, readStatus, type Store, type VersionDocument } from '../../infra/store/index.ts'
import { isCode } from '../../sdk/errors.ts'
import type { LiveFunction } from '../catalog/catalog.ts'

export const versionsKept = 100
const leftAloneMs = 60 * 60_000
const firstMs = 60_000
const everyMs = 60 * 60_000

/** What collecting needs of the bundle store. */
export interface BundleRemover {
  list(): Promise<readonly StoredBundle[]>
  removeUntouched(found: StoredBundle): Promise<boolean>
  removeTorn(beforeMs: number): Promise<number>
}

export interface CollectorOptions {
  readonly store: Store
  readonly bundles: BundleRemover
  readonly namespace: string
  readonly clock: Clock
  readonly log: Log
  /** Whether no other store uses this NATS: otherwise nobody knows all versions that refer to a bundle. */
  readonly isAlone: () => Promise<boolean>
}

/** Collects at intervals. @returns A function that stops it. */
export function startCollector(options: CollectorOptions): () => void {
  const { clock, log } = options
  let cancel = clock.after(firstMs, run)
  let stopped = false
  function run(): void {
    void collect(options)
      .catch((error: unknown) => log.warn({ err: error }, 'cannot remove old versions and bundles'))
      .then(() => {
        if (!stopped) cancel = clock.after(everyMs, run)
      })
  }
  return () => {
    stopped = true
    cancel()
  }
}

/** @returns How many versions and bundles were removed. */
export async function collect(options: CollectorOptions): Promise<{ versions: number; bundles: number }> {
  const versions = await removeVersions(options)
  const bundles = (await options.isAlone()) ? await removeBundles(options) : 0
  if (versions + bundles > 0) options.log.info({ versions, bundles }, 'old versions and bundles are removed')
  return { versions, bundles }
}

async function removeVersions({ store, namespace }: CollectorOptions): Promise<number> {
  let removed = 0
  for (const name of await store.list(paths.functions(namespace))) {
    const numbers = (await store.list(paths.versions(namespace, name))).map(Number).sort((a, b) => b - a)
    if (numbers.length <= versionsKept) continue
    const document = (await store.get<LiveFunction['document']>(paths.function(namespace, name)))?.value
    if (document === undefined || document.deleted) continue // the scheduler removes all of it
    const status = await readStatus(store, namespace, name)
    const inUse = new Set([
      document.version,
      document.good,
      ...(status?.instances ?? []).map(({ version }) => version),
    ])
    for (const version of numbers.slice(versionsKept)) {
      if (inUse.has(version)) continue
      await removeQuietly(store, paths.version(namespace, name, version))
      await removeQuietly(store, paths.outcome(namespace, name, version))
      removed += 1
    }
  }
  return removed
}

/** Lists the bundles before it reads the versions (L2). */
async function removeBundles({ store, bundles, clock }: CollectorOptions): Promise<number> {
  const found = await bundles.list()
  const nowMs = clock.nowMs()
  const referred = await referredBundles(store)
  let removed = 0
  for (const bundle of found) {
    if (referred.has(bundle.sha256) || nowMs - bundle.touchedMs < leftAloneMs) continue
    if (await bundles.removeUntouched(bundle)) removed += 1
  }
  return removed + (await bundles.removeTorn(nowMs - leftAloneMs))
}

async function referredBundles(store: Store): Promise<Set<string>> {
  const referred = new Set<string>()
  for (const ns of await store.list(paths.namespaces)) {
    for (const name of await store.list(paths.functions(ns))) {
      for (const version of await store.list(paths.versions(ns, name))) {
        const document = (await store.get<VersionDocument>(paths.version(ns, name, Number(version))))?.value
        if (document === undefined) continue
        referred.add(document.bundleSha256)
        if (document.sourceMapSha256 !== undefined) referred.add(document.sourceMapSha256)
        for (const { sha256 } of Object.values(document.assets ?? {})) referred.add(sha256)
      }
    }
  }
  return referred
}

async function removeQuietly(store: Store, path: string): Promise<void> {
  try {
    await store.remove(path)
  } catch (error) {
    if (!isCode(error, 'ERR_STORE_NOT_FOUND')) throw error
  }
}
