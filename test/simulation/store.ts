/**
 * StoreModel: documents with versions, a queue of candidates for leadership, and a seal (infra/store/store.ts, 0020).
 *
 * What it keeps of the invariants of the real store: compare-and-set (DO1), one leader at a time (DO3), and that nobody
 * sees what an earlier leader created and the sealing leader has not updated (DO4).
 * An expired session may still write leader's documents here, so versions and seal alone must prevent harm. (They can
 * because no version is given twice. ZooKeeper's versions restart when a node is recreated; there the end of the
 * session protects.) It cannot write gateways' documents.
 * @module
 */
import { Violation } from './violation.ts'

export type Kind =
  | 'task'
  | 'seat'
  | 'status'
  | 'epoch'
  | 'outcome'
  | 'function'
  | 'version'
  | 'command'
  | 'stream'

/** What gateways write; schedulers change it as guests. */
const ofGateways: ReadonlySet<Kind> = new Set(['function', 'version', 'outcome', 'command', 'stream'])

interface Document {
  readonly value: unknown
  readonly version: number
  /** Of the leader that wrote it last; 0: a gateway. */
  readonly epoch: number
}

export interface Session {
  readonly epoch: number
  isLost: boolean
  /** Called when it has expired. */
  onLost: () => void
}

/** What a write comes to that cannot be done. */
export type Refusal = 'exists' | 'conflict' | 'missing' | 'lost'

export class StoreModel {
  readonly #kinds = new Map<Kind, Map<string, Document>>()
  #leader: Session | undefined
  #epoch = 0
  #sealed = 0
  #versions = 1
  /** Called after a change to what is wanted. */
  onWanted: () => void = () => undefined
  /** Called after a change of who sits where. */
  onSeats: () => void = () => undefined

  readonly #queue: ((session: Session) => void)[] = []

  /** Calls `elected` when it is its turn. Whoever is asked and lives no more passes it on by `expire`. */
  lead(elected: (session: Session) => void): void {
    this.#queue.push(elected)
    if (this.#leader === undefined || this.#leader.isLost) this.#elect()
  }

  expire(session: Session): void {
    if (session.isLost) return
    session.isLost = true
    session.onLost()
    this.#elect()
  }

  #elect(): void {
    const elected = this.#queue.shift()
    if (elected === undefined) return
    this.#epoch += 1
    this.#leader = { epoch: this.#epoch, isLost: false, onLost: () => undefined }
    elected(this.#leader)
  }

  seal(session: Session): void {
    if (session.isLost) return
    this.#sealed = session.epoch
    for (const [kind, documents] of this.#kinds)
      for (const [name, { epoch }] of documents)
        if (!ofGateways.has(kind) && epoch < session.epoch) documents.delete(name)
  }

  get<T>(kind: Kind, name: string): { readonly value: T; readonly version: number } | undefined {
    const found = this.#kinds.get(kind)?.get(name)
    return found as { readonly value: T; readonly version: number } | undefined
  }

  names(kind: Kind): string[] {
    return [...(this.#kinds.get(kind)?.keys() ?? [])]
  }

  values<T>(kind: Kind): T[] {
    return [...(this.#kinds.get(kind)?.values() ?? [])].map(({ value }) => value as T)
  }

  create(kind: Kind, name: string, value: unknown, by?: Session): number | Refusal {
    if (isBarred(kind, by)) return 'lost'
    const documents = this.#of(kind)
    if (documents.has(name)) return 'exists'
    if (by !== undefined && by.epoch < this.#sealed) return 0 // DO4: it is written, and nobody sees it
    const version = this.#versions++
    documents.set(name, { value, version, epoch: by?.epoch ?? 0 })
    this.#wrote(kind, name, by)
    return version
  }

  update(kind: Kind, name: string, value: unknown, version: number, by?: Session): number | Refusal {
    if (isBarred(kind, by)) return 'lost'
    const before = this.#of(kind).get(name)
    if (before === undefined) return 'missing'
    if (before.version !== version) return 'conflict'
    const next = this.#versions++
    this.#of(kind).set(name, { value, version: next, epoch: by?.epoch ?? 0 })
    this.#wrote(kind, name, by)
    return next
  }

  remove(kind: Kind, name: string, version: number | undefined, by?: Session): Refusal | undefined {
    if (isBarred(kind, by)) return 'lost'
    const before = this.#of(kind).get(name)
    if (before === undefined) return 'missing'
    if (version !== undefined && before.version !== version) return 'conflict'
    this.#of(kind).delete(name)
    this.#wrote(kind, name, by)
    return undefined
  }

  #of(kind: Kind): Map<string, Document> {
    let documents = this.#kinds.get(kind)
    if (documents === undefined) {
      documents = new Map()
      this.#kinds.set(kind, documents)
    }
    return documents
  }

  #wrote(kind: Kind, name: string, by: Session | undefined): void {
    if (by !== undefined && by.epoch < this.#takenOver)
      throw new Violation(
        'one writer',
        `leader ${by.epoch} has written ${kind} ${name}, and ${this.#takenOver} leads`,
      )
    if (ofGateways.has(kind)) this.onWanted()
    else if (kind === 'seat') this.onSeats()
  }

  /** The leader that has taken over last: from then on nobody else may write. */
  #takenOver = 0

  tookOver(session: Session): void {
    this.#takenOver = Math.max(this.#takenOver, session.epoch)
  }
}

function isBarred(kind: Kind, by: Session | undefined): boolean {
  return by?.isLost === true && ofGateways.has(kind)
}
