/**
 * WatchTree: reports each change at or under one node, through the watches of one session. ZooKeeper's watches fire
 * once and cover one node, so each node has two, which are set again before anybody is told.
 *
 *   ZW1. A path is reported after its watch was set again: a reader then sees the change or a later one, and any
 *        later change fires again.
 *   ZW2. When the first look at all nodes is done, the topmost node is reported once.
 *
 * After a lost connection the client sets its watches again by itself; a new session needs a new WatchTree.
 * @module
 */
import type { Session } from './session.ts'

export class WatchTree {
  readonly #session: Session
  readonly #top: string
  readonly #changed: (nodes: readonly string[]) => void
  readonly #failed: (error: unknown) => void
  readonly #unlisten = new Map<string, () => void>()
  readonly #told = new Set<string>()
  #looking = 0
  #hasLooked = false
  #stopped = false

  constructor(
    session: Session,
    top: string,
    changed: (nodes: readonly string[]) => void,
    failed: (error: unknown) => void,
  ) {
    this.#session = session
    this.#top = top
    this.#changed = changed
    this.#failed = failed
    this.#add(top)
  }

  stop(): void {
    this.#stopped = true
    for (const unlisten of this.#unlisten.values()) unlisten()
    this.#unlisten.clear()
  }

  #add(node: string): void {
    if (this.#stopped || this.#unlisten.has(node)) return
    const unlisten = this.#session.on(node, (event) => {
      if (event === 'child') this.#look(node, this.#lookBelow(node))
      else if (event === 'deleted' && node !== this.#top) this.#drop(node)
      else this.#look(node, this.#lookAt(node), event === 'created' && this.#lookBelow(node))
    })
    this.#unlisten.set(node, unlisten)
    this.#look(node, this.#lookAt(node), this.#lookBelow(node))
  }

  #drop(node: string): void {
    this.#unlisten.get(node)?.()
    this.#unlisten.delete(node)
    this.#look(node)
  }

  async #lookAt(node: string): Promise<void> {
    await this.#session.exists(node, true, this.#session.ended)
  }

  async #lookBelow(node: string): Promise<void> {
    const names = (await this.#session.children(node, true, this.#session.ended)) ?? []
    for (const name of names) this.#add(`${node}/${name}`)
  }

  /** Reports the node once these looks, and all others under way, are done. */
  #look(node: string, ...looks: readonly (Promise<void> | false)[]): void {
    this.#told.add(node)
    this.#looking++
    Promise.all(looks)
      .catch((error: unknown) => {
        if (!this.#session.ended.aborted && !this.#stopped) this.#failed(error)
      })
      .finally(() => {
        this.#looking--
        if (this.#looking > 0 || this.#stopped || this.#session.ended.aborted) return
        const nodes = this.#hasLooked ? [...this.#told] : [this.#top]
        this.#hasLooked = true
        this.#told.clear()
        this.#changed(nodes)
      })
  }
}
