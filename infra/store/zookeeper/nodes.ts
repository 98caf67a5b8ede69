/**
 * Nodes: creates znodes that nobody but us can read or write. The client creates open nodes, and has no
 * multi-operations: so a node is created empty, then gets its ACL, and only then its data, each step checking the
 * version.
 *
 *   ZN1. Data is written only to a node with our ACL that nobody wrote while it was open.
 *   ZN2. If the creator dies on the way, it leaves an empty node, which has no meaning; the next creator continues
 *        with it.
 * @module
 */
import { createHash } from 'node:crypto'
import { type AclEntry, codes } from './client-protocol.ts'
import { isLoss, isRc, type Session } from './session.ts'

const allPermissions = 31

export class Nodes {
  readonly #session: Session
  readonly #acl: readonly AclEntry[]
  readonly #signal: AbortSignal

  constructor(session: Session, acl: readonly AclEntry[], signal: AbortSignal) {
    this.#session = session
    this.#acl = acl
    this.#signal = signal
  }

  /** Creates a node and its parents, unless they exist. */
  async ensure(path: string): Promise<void> {
    for (;;) {
      try {
        await this.#session.create(path, 0, this.#signal)
      } catch (error) {
        if (isRc(error, codes.noNode)) {
          await this.ensure(path.slice(0, path.lastIndexOf('/')))
          continue
        }
        if (!isRc(error, codes.nodeExists) && !isLoss(error)) throw error
      }
      if (await this.protect(path)) return
    }
  }

  /**
   * Sets the node's ACL to ours, whatever it was, if we may. (It cannot be read safely.)
   * @returns Whether the node exists.
   * @throws {CodedError} ERR_STORE_REFUSED
   */
  async protect(path: string, aversion = 0): Promise<boolean> {
    for (let at: number | undefined = aversion; at !== undefined; ) {
      try {
        await this.#session.setAcl(path, this.#acl, at, this.#signal)
        return true
      } catch (error) {
        if (isRc(error, codes.noNode)) return false
        if (!isRc(error, codes.badVersion) && !isLoss(error)) throw error
      }
      at = (await this.#session.exists(path, false, this.#signal))?.aversion
    }
    return false
  }
}

/** An ACL for this user and password only. */
export function ownAcl(user: string, password: string): readonly AclEntry[] {
  const digest = createHash('sha1').update(`${user}:${password}`).digest('base64')
  return [{ perms: allPermissions, scheme: 'digest', auth: `${user}:${digest}` }]
}
