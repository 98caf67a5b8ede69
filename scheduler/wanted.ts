/**
 * Wanted: reads everything that gateways have written, whenever it changes.
 *
 * Commands are read before functions, so that a reading never shows a finished command without its effect. (Otherwise
 * an instance that was already subtracted could be subtracted again.)
 * @module
 */
import {
  type CommandDocument,
  type FollowerDocument,
  type FunctionDocument,
  paths,
  type Store,
  type StreamDocument,
  type VersionDocument,
} from '../infra/store/index.ts'
import type { Wanted, WantedFunction } from './core/index.ts'

export class WantedReader {
  readonly #store: Store
  readonly #namespace: string
  /** A version never changes once it is written. */
  readonly #versions = new Map<string, VersionDocument>()
  #stops: (() => void)[] = []
  #dirty = false
  #reading = false

  constructor(store: Store, namespace: string) {
    this.#store = store
    this.#namespace = namespace
  }

  /** Calls `changed` with each new reading, one at a time, and never with an older one after a newer. */
  watch(changed: (wanted: Wanted) => void, failed: (error: Error) => void): void {
    const ns = this.#namespace
    const look = () => {
      this.#dirty = true
      if (!this.#reading) void this.#readWhileDirty(changed).catch(failed)
    }
    this.#stops = [paths.commands(ns), paths.functions(ns), paths.streams(ns)].map((path) =>
      this.#store.watch(path, look),
    )
  }

  close(): void {
    for (const stop of this.#stops) stop()
    this.#stops = []
  }

  async #readWhileDirty(changed: (wanted: Wanted) => void): Promise<void> {
    this.#reading = true
    while (this.#dirty && this.#stops.length > 0) {
      this.#dirty = false
      const wanted = await this.read()
      if (this.#stops.length > 0) changed(wanted)
    }
    this.#reading = false
  }

  async read(): Promise<Wanted> {
    const ns = this.#namespace
    const commands = await this.#children<CommandDocument>(paths.commands(ns), (id) => paths.command(ns, id))
    const documents = await this.#children<FunctionDocument>(paths.functions(ns), (name) =>
      paths.function(ns, name),
    )
    const functions = new Map<string, WantedFunction>()
    for (const [name, document] of documents) {
      functions.set(name, { document, versions: await this.#versionsOf(name, document.createdAtMs) })
    }
    const streams = new Map<string, StreamDocument>()
    const followers = new Map<string, ReadonlyMap<string, FollowerDocument>>()
    for (const stream of await this.#store.list(paths.streams(ns))) {
      const document = await this.#store.get<StreamDocument>(paths.stream(ns, stream))
      if (document !== undefined) streams.set(stream, document.value)
      const byId = await this.#children<FollowerDocument>(paths.followers(ns, stream), (id) =>
        paths.follower(ns, stream, id),
      )
      if (byId.size > 0) followers.set(stream, byId)
    }
    return { commands, functions, streams, followers }
  }

  async #versionsOf(name: string, createdAtMs: number): Promise<Map<number, VersionDocument>> {
    const versions = new Map<number, VersionDocument>()
    for (const number of await this.#store.list(paths.versions(this.#namespace, name))) {
      const path = paths.version(this.#namespace, name, Number(number))
      // A version never changes; but a function that was removed and deployed again numbers its versions from 1
      // again.
      const known = `${path}@${createdAtMs}`
      const document = this.#versions.get(known) ?? (await this.#store.get<VersionDocument>(path))?.value
      if (document === undefined) continue
      this.#versions.set(known, document)
      versions.set(document.version, document)
    }
    return versions
  }

  async #children<T>(path: string, childPath: (name: string) => string): Promise<Map<string, T>> {
    const children = new Map<string, T>()
    for (const name of await this.#store.list(path)) {
      const found = await this.#store.get<T>(childPath(name))
      if (found !== undefined) children.set(name, found.value)
    }
    return children
  }
}
