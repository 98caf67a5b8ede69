/**
 * Nodes: makes znodes that nobody but us can read or write. The client makes them open for everybody, and cannot do two
 * things in one: so a node is made empty, gets its ACL, and only then its data, each with the version checked.
 *
 *  ZN1. What is written goes to a node whose ACL is ours, and which nobody has written while it was open.
 *  ZN2. A maker that dies on the way leaves an empty node, which means nothing; the next one goes on with it.
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

  /** Makes sure of a node and of those above it. */
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
   * Makes sure that the node's ACL is ours: sets it, whatever it was, as far as we may. (It cannot be read safely.)
   * @returns Whether there is such a node.
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

/** Who knows user and password, and nobody else. */
export function ownAcl(user: string, password: string): readonly AclEntry[] {
  const digest = createHash('sha1').update(`${user}:${password}`).digest('base64')
  return [{ perms: allPermissions, scheme: 'digest', auth: `${user}:${digest}` }]
}
