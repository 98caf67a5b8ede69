/**
 * NodeCache: keeps the contents of watched nodes until a watch fires. Gateways and the scheduler read all their nodes
 * again after each change of one; with the cache, ZooKeeper is asked only for that one.
 *
 *   ZN3. A cached value was read together with the setting of its watch. ZooKeeper reports a change to a session
 *        before anything later, including the answer to the session's own write: so no reader gets a value older than
 *        one that it has seen.
 *   ZN4. An answer is not cached if a watch fired while it was awaited: the event may concern a later change, and be
 *        handled first.
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
