/**
 * Tree: the documents under one node, through one session.
 *
 *   ZT1. Every write is a compare-and-set on the node's version, including the creation of a document: its node is
 *        created first, empty, which does not count as a document.
 *   ZT2. A write whose answer was lost is looked for by its id before it is tried again.
 *   ZT3. A document written by a leader with an epoch below the last sealed one does not exist for anybody: it was
 *        written too late. (Compare-and-set fences what the successor has updated; this fences what it never saw.)
 * Design: docs/design/0020-store-on-zookeeper.md
 * @module
 */
import { randomBytes } from 'node:crypto'
import { infraError } from '../../errors.ts'
import type { StoredDocument } from '../store.ts'
import { codes } from './client-protocol.ts'
import { decodeDocument, encodeDocument, type Stored } from './document.ts'
import type { NodeCache } from './node-cache.ts'
import type { Nodes } from './nodes.ts'
import { type FoundNode, isLoss, isRc, type Session } from './session.ts'

export interface TreeOptions {
  readonly session: Session
  readonly nodes: Nodes
  /** The node of the path `/`. */
  readonly root: string
  /** The epoch that a leader has sealed last. */
  readonly sealed: (leader: string) => Promise<number>
  /** The cache of a watched path, if it is one. Writes do not use it. */
  readonly cache?: (path: string) => NodeCache | undefined
  /** Ends the wait for a connection. */
  readonly signal: AbortSignal
  /** The name and epoch that a leader's writes carry. */
  readonly leader?: { readonly name: string; readonly epoch: number }
}

interface Looked {
  readonly node: FoundNode
  /** Undefined: the node exists, but holds no document. */
  readonly document: (Stored & { readonly version: number }) | undefined
}

export class Tree {
  readonly #options: TreeOptions

  constructor(options: TreeOptions) {
    this.#options = options
  }

  async get<T>(path: string): Promise<StoredDocument<T> | undefined> {
    const document = (await this.#look(path, this.#options.cache?.(path)))?.document
    return document && { value: document.value as T, version: document.version }
  }

  async create(path: string, value: unknown): Promise<number> {
    const write = writeName()
    for (;;) {
      const looked = await this.#look(path)
      if (looked?.document?.write === write) return 0 // ZT2
      if (looked?.document !== undefined)
        throw infraError('ERR_STORE_EXISTS', `Cannot create ${path}: it exists already`)
      // Encode before the node is created, so that a value that cannot be stored leaves no node.
      const at = looked?.node.stat.version ?? 0
      const data = encodeDocument(path, { base: at + 1, write, ...this.#stamp(), value })
      if (looked === undefined || looked.node.stat.aversion === 0)
        await this.#options.nodes.ensure(this.#node(path))
      if (await this.#set(path, data, at)) return 0
    }
  }

  async update(path: string, value: unknown, version: number): Promise<number> {
    const write = writeName()
    for (;;) {
      const looked = await this.#look(path)
      const before = looked?.document
      if (before?.write === write) return before.version // ZT2
      if (looked === undefined || before?.version !== version) throw lostRace('update', path, before, version)
      const { leader, epoch } = before
      const stamp =
        leader === undefined ? {} : (this.#stamp() ?? { leader, ...(epoch === undefined ? {} : { epoch }) })
      const data = encodeDocument(path, { base: before.base, write, ...stamp, value })
      if (await this.#set(path, data, looked.node.stat.version)) return version + 1
    }
  }

  async remove(path: string, version?: number): Promise<void> {
    let tried = false
    for (;;) {
      const looked = await this.#look(path)
      const before = looked?.document
      if (before === undefined && tried) return // ZT2
      if (looked === undefined || before === undefined || (version ?? before.version) !== before.version)
        throw lostRace('remove', path, before, version)
      const { numChildren, version: nodeVersion } = looked.node.stat
      tried = true
      if (
        numChildren > 0 ? await this.#set(path, nothing, nodeVersion) : await this.#delete(path, nodeVersion)
      )
        return await this.#prune(path)
    }
  }

  async list(path: string): Promise<string[]> {
    const { session, signal } = this.#options
    const node = this.#node(path)
    const cached = this.#options.cache?.(path)?.children(node, signal)
    return [...((await (cached ?? session.children(node, false, signal))) ?? [])].sort()
  }

  async #look(path: string, cache?: NodeCache): Promise<Looked | undefined> {
    const { session, sealed, leader, signal } = this.#options
    const at = this.#node(path)
    const node = await (cache === undefined ? session.get(at, false, signal) : cache.get(at, signal))
    if (node === undefined) return undefined
    // Before the ACL was set, anybody may have written it.
    const stored = node.stat.aversion === 0 ? undefined : decodeDocument(path, node.data)
    if (stored === undefined) return { node, document: undefined }
    const isLate = stored.leader !== undefined && (stored.epoch ?? 0) < (await sealed(stored.leader)) // ZT3
    if (isLate && leader !== undefined) await this.#set(path, nothing, node.stat.version)
    return { node, document: isLate ? undefined : { ...stored, version: node.stat.version - stored.base } }
  }

  /** @returns False if the node has changed, or this is unknown. */
  async #set(path: string, data: Buffer, version: number): Promise<boolean> {
    const { session, signal } = this.#options
    return await took(session.set(this.#node(path), data, version, signal))
  }

  async #delete(path: string, version: number): Promise<boolean> {
    const { session, signal } = this.#options
    return await took(session.delete(this.#node(path), version, signal))
  }

  /** Removes parents without a document or children. */
  async #prune(path: string): Promise<void> {
    for (let at = parentOf(path); at !== ''; at = parentOf(at)) {
      const node = await this.#options.session.get(this.#node(at), false, this.#options.signal)
      if (node === undefined) continue
      if (node.data.length > 0 || node.stat.numChildren > 0) return
      if (!(await this.#delete(at, node.stat.version))) return
    }
  }

  #stamp(): { readonly leader: string; readonly epoch: number } | undefined {
    const { leader } = this.#options
    return leader && { leader: leader.name, epoch: leader.epoch }
  }

  #node(path: string): string {
    return path === '/' ? this.#options.root : this.#options.root + path
  }
}

const nothing = Buffer.alloc(0)

/** `''` above the first name. */
function parentOf(path: string): string {
  return path.slice(0, path.lastIndexOf('/'))
}

function writeName(): string {
  return randomBytes(9).toString('base64url')
}

async function took(write: Promise<unknown>): Promise<boolean> {
  try {
    await write
    return true
  } catch (error) {
    if (isLoss(error) || isRc(error, codes.badVersion, codes.noNode, codes.notEmpty)) return false
    throw error
  }
}

function lostRace(
  what: string,
  path: string,
  found: { readonly version: number } | undefined,
  version: number | undefined,
): Error {
  if (found === undefined)
    return infraError('ERR_STORE_NOT_FOUND', `Cannot ${what} ${path}: there is no such node`)
  return infraError(
    'ERR_STORE_CONFLICT',
    `Cannot ${what} ${path} at version ${version}: it has version ${found.version}. Read it again`,
  )
}
