/**
 * NodeCache: what was read of watched nodes, until a watch says that it has changed. Gateways and the scheduler read all that
 * they watch again after each change of one node; so they ask ZooKeeper for that one.
 *
 *  ZN3. What is kept was read together with the setting of its watch. ZooKeeper tells a session of a change before anything
 *       that came after it, the answer to its own write too: so nobody reads here what is older than what he has seen.
 *  ZN4. An answer during which a watch has fired is not kept: the firing may be of what came after it, and be handled first.
 * @module
 */
import type { FoundNode, Session } from './session.ts'

export class NodeCache {
  readonly #session: Session
  readonly #nodes = new Map<string, FoundNode>()
  readonly #children = new Map<string, string[]>()
  /** Watches that have fired. */
  #fired = 0

  constructor(session: Session) {
    this.#session = session
    session.onNode = (path, event) => {
      this.#fired++
      if (event !== 'child') this.#nodes.delete(path)
      if (event !== 'changed') this.#children.delete(path)
    }
  }

  async get(path: string, signal: AbortSignal): Promise<FoundNode | undefined> {
    const known = this.#nodes.get(path)
    if (known !== undefined) return known
    const before = this.#fired
    const found = await this.#session.get(path, true, signal)
    if (found !== undefined && this.#fired === before) this.#nodes.set(path, found) // one that is missing has no watch
    return found
  }

  async children(path: string, signal: AbortSignal): Promise<string[] | undefined> {
    const known = this.#children.get(path)
    if (known !== undefined) return known
    const before = this.#fired
    const found = await this.#session.children(path, true, signal)
    if (found !== undefined && this.#fired === before) this.#children.set(path, found)
    return found
  }
}
