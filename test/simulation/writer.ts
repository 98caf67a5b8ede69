/**
 * WriterModel: what the scheduler's writer.ts and status-writer.ts do: writes the core's decisions to the store.
 *
 *   W1. A document is written only over a version that this writer has read or written; otherwise the scheduler ends.
 * @module
 */
import type { FunctionDocument, StatusDocument } from '../../infra/store/documents.ts'
import type { ActionOf } from './actions.ts'
import type { Change } from './changes.ts'
import type { Process } from './loop.ts'
import { putOutcome, removeOutcomes } from './outcomes.ts'
import type { Kind, Refusal, Session, StoreModel } from './store.ts'
import { must } from './violation.ts'

const statusDelayMs = 200

export interface WriterOptions {
  readonly process: Process
  readonly store: StoreModel
  readonly session: () => Session | undefined
  /** The scheduler is to end: another one leads. */
  readonly refused: (why: string) => void
}

export class WriterModel {
  /** Of the nodes that it has read or written. */
  readonly versions = new Map<string, number>()
  readonly #options: WriterOptions
  readonly #statuses = new Map<string, StatusDocument>()
  #flushes = false

  constructor(options: WriterOptions) {
    this.#options = options
  }

  /** All statuses are written. */
  get isIdle(): boolean {
    return this.#statuses.size === 0
  }

  /** The process has died. */
  clear(): void {
    this.versions.clear()
    this.#statuses.clear()
    this.#flushes = false
  }

  put(kind: Kind, name: string, value: unknown): void {
    const { store, session } = this.#options
    const key = `${kind}/${name}`
    const version = this.versions.get(key)
    const answer =
      version === undefined
        ? store.create(kind, name, value, session())
        : store.update(kind, name, value, version, session())
    if (typeof answer === 'number') this.versions.set(key, answer)
    else this.#refused(answer, key)
  }

  remove(kind: Kind, name: string): void {
    const { store, session } = this.#options
    const key = `${kind}/${name}`
    const version = this.versions.get(key)
    must(version !== undefined || store.get(kind, name) === undefined, 'W1', () => `${key} is removed unseen`)
    const answer = store.remove(kind, name, version, session())
    this.versions.delete(key)
    if (answer !== undefined && answer !== 'missing') this.#refused(answer, key)
  }

  change(name: string, to: Change): void {
    const { store, session } = this.#options
    const found = store.get<FunctionDocument>('function', name)
    const changed = found && to(found.value)
    if (changed === undefined) return
    if (store.update('function', name, changed, found!.version, session()) === 'lost')
      this.#refused('lost', name)
  }

  saveOutcome({ function: name, outcome }: ActionOf<'saveOutcome' | 'settleVersion'>): void {
    const { store, session } = this.#options
    if (putOutcome(store, name, outcome, session()) === 'lost') this.#refused('lost', name)
  }

  removeFunction({ function: name, versions }: ActionOf<'removeFunction'>): void {
    const { store, session } = this.#options
    const found = store.get<FunctionDocument>('function', name)
    if (found !== undefined && found.value.deleted !== true) return
    for (const version of versions) store.remove('version', `${name}@${version}`, undefined, session())
    removeOutcomes(store, name, session())
    this.#statuses.delete(name)
    this.remove('status', name)
    if (found !== undefined) store.remove('function', name, found.version, session())
  }

  saveStatus(document: StatusDocument, urgent: boolean): void {
    this.#statuses.set(document.function, document)
    if (urgent) this.#flush(document.function)
    else this.#flushSoon()
  }

  #flushSoon(): void {
    if (this.#flushes) return
    const { process } = this.#options
    this.#flushes = true
    process.after(statusDelayMs, () => {
      this.#flushes = false
      for (const name of [...this.#statuses.keys()]) if (process.isUp) this.#flush(name)
    })
  }

  #flush(name: string): void {
    const document = this.#statuses.get(name)
    this.#statuses.delete(name)
    if (document !== undefined) this.put('status', name, document)
  }

  /** F3 of performer.ts. */
  #refused(answer: Refusal, key: string): void {
    this.#options.refused(`${key}: ${answer}`)
  }
}
