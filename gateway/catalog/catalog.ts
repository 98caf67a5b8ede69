/**
 * Catalog: the gateway's copy of the store: streams, functions with their versions and statuses, and holding
 * followers.
 *
 * It is derived and never written to: after every change it is read again as a whole.
 *   C1. `current` is consistent with the store at some moment after the last change that was noticed.
 *   C2. After `refresh` it contains all that was in the store when `refresh` was called: a caller reads its own
 *       writes.
 * @module
 */
import { consumersOf, holdersOf, type Reader } from '../../infra/control/index.ts'
import { isKeyed, type StreamDescriptor } from '../../infra/control/messages/streams.ts'
import {
  type FollowerDocument,
  type FunctionDocument,
  paths,
  readStatus,
  type StatusDocument,
  type Store,
  type StreamDocument,
  type VersionDocument,
} from '../../infra/store/index.ts'
import { type Manifest, partitionsDefault } from '../../sdk/manifest/manifest.ts'
import { unknownFunction } from '../errors.ts'

export interface LiveFunction {
  readonly name: string
  readonly document: FunctionDocument
  readonly version: VersionDocument
  /** Absent until the scheduler has seen it. */
  readonly status: StatusDocument | undefined
}

export interface Stream {
  readonly name: string
  readonly document: StreamDocument
  /** Names of the functions that write it. */
  readonly producers: readonly string[]
  /** Names of the functions that read it. */
  readonly consumers: readonly string[]
  /** By id: the holding followers. */
  readonly followers: ReadonlyMap<string, FollowerDocument>
}

export interface CatalogView {
  readonly functions: ReadonlyMap<string, LiveFunction>
  readonly streams: ReadonlyMap<string, Stream>
}

const nothing: CatalogView = { functions: new Map(), streams: new Map() }

/** @throws {CodedError} ERR_FUNCTION_UNKNOWN */
export function functionIn({ functions }: CatalogView, name: string): LiveFunction {
  const found = functions.get(name)
  if (found === undefined) throw unknownFunction(name, functions)
  return found
}

export class Catalog {
  readonly #store: Store
  readonly #namespace: string
  readonly #onError: (error: unknown) => void
  readonly #stops: (() => void)[]
  #reading: Promise<void> | undefined
  #next: Promise<void> | undefined
  #closed = false
  current: CatalogView = nothing
  /** Called after each reading. */
  onChange: (view: CatalogView) => void = () => undefined

  /** @param onError Called when the store could not be read; the next change reads it again. */
  constructor(store: Store, namespace: string, onError: (error: unknown) => void) {
    this.#store = store
    this.#namespace = namespace
    this.#onError = onError
    const watched = [paths.streams(namespace), paths.functions(namespace), paths.statuses(namespace)]
    this.#stops = watched.map((path) => store.watch(path, () => void this.refresh().catch(onError)))
  }

  /** Reads everything again (C2). Calls made during a reading share the next one. */
  refresh(): Promise<void> {
    if (this.#reading === undefined) {
      this.#reading = this.#read().finally(() => {
        this.#reading = undefined
      })
      return this.#reading
    }
    this.#next ??= this.#reading
      .catch(() => undefined)
      .then(() => {
        this.#next = undefined
        return this.refresh()
      })
    return this.#next
  }

  close(): void {
    this.#closed = true
    for (const stop of this.#stops) stop()
  }

  async #read(): Promise<void> {
    if (this.#closed) return
    const view = await readCatalog(this.#store, this.#namespace)
    this.current = view
    if (this.#closed) return
    try {
      this.onChange(view)
    } catch (error) {
      this.#onError(error)
    }
  }
}

/** The streams that a function reads or writes. */
export function namedStreams(manifest: Manifest): readonly string[] {
  return [...new Set([...Object.keys(manifest.istreams), ...manifest.ostreams])]
}

async function readCatalog(store: Store, ns: string): Promise<CatalogView> {
  const functions = new Map<string, LiveFunction>()
  for (const name of await store.list(paths.functions(ns))) {
    const live = await readFunction(store, ns, name)
    if (live !== undefined) functions.set(name, live)
  }
  const documents = new Map<string, StreamDocument>()
  for (const { version } of functions.values()) {
    for (const name of namedStreams(version.manifest)) documents.set(name, streamDefault)
  }
  const followers = new Map<string, ReadonlyMap<string, FollowerDocument>>()
  for (const name of await store.list(paths.streams(ns))) {
    const document = (await store.get<StreamDocument>(paths.stream(ns, name)))?.value
    if (document !== undefined) documents.set(name, document)
    followers.set(name, await readFollowers(store, ns, name))
  }
  const streams = new Map<string, Stream>()
  for (const [name, document] of documents) {
    const all = [...functions.values()]
    const producers = all.filter((f) => f.version.manifest.ostreams.includes(name)).map((f) => f.name)
    const consumers = all.filter((f) => f.version.manifest.istreams[name] !== undefined).map((f) => f.name)
    streams.set(name, { name, document, producers, consumers, followers: followers.get(name) ?? new Map() })
  }
  return { functions, streams }
}

async function readFollowers(
  store: Store,
  ns: string,
  stream: string,
): Promise<ReadonlyMap<string, FollowerDocument>> {
  const followers = new Map<string, FollowerDocument>()
  for (const id of await store.list(paths.followers(ns, stream))) {
    const document = (await store.get<FollowerDocument>(paths.follower(ns, stream, id)))?.value
    if (document !== undefined) followers.set(id, document)
  }
  return followers
}

const streamDefault: StreamDocument = { schema: 1, partitions: partitionsDefault, raw: false }

/** Undefined if the function has been removed, wholly or in part. */
async function readFunction(store: Store, ns: string, name: string): Promise<LiveFunction | undefined> {
  const document = (await store.get<FunctionDocument>(paths.function(ns, name)))?.value
  if (document === undefined) return undefined
  const version = (await store.get<VersionDocument>(paths.version(ns, name, document.version)))?.value
  if (version === undefined) return undefined
  const status = await readStatus(store, ns, name)
  return { name, document, version, status }
}

/** What a producer must know of a stream: the same as the scheduler tells the runners. */
export function descriptorOf(view: CatalogView, stream: Stream): StreamDescriptor {
  const inputs = stream.consumers.map((name) => {
    const live = view.functions.get(name)!
    return { live, input: live.version.manifest.istreams[stream.name]! }
  })
  return {
    name: stream.name,
    partitions: stream.document.partitions,
    keyed: isKeyed(inputs.map(({ input }) => input.grouping)),
    consumers: [
      ...inputs.flatMap(({ live, input }) =>
        consumersOf(live.name, input, readersOf(live), live.document.createdAtMs),
      ),
      ...holdersOf(stream.followers),
    ],
  }
}

/**
 * The function's instances, and those that the scheduler is about to start. They are chosen as the scheduler chooses:
 * first draining instances that have to stay after all (the count was lowered and raised again), then the lowest free
 * indexes.
 */
function readersOf({ document, status }: LiveFunction): Reader[] {
  const all = status?.instances ?? []
  const leaving = all.filter((one) => one.leaving).length
  let lacking = document.instances - leaving - all.filter(({ retiring }) => retiring !== true).length
  const readers: Reader[] = []
  for (const { index, state, retiring, leaving } of all) {
    if (retiring === true && state !== 'draining') continue // it has gone
    const stays = retiring !== true || (leaving !== true && lacking-- > 0)
    readers.push({ index, retiring: !stays })
  }
  const taken = new Set(all.map(({ index }) => index))
  for (let index = 0; lacking > 0; index++) {
    if (taken.has(index)) continue
    readers.push({ index, retiring: false })
    lacking -= 1
  }
  return readers
}
