/**
 * StatusWriter: writes statuses to the store in pages (infra/store/status-pages.ts), and of each status only the
 * pages that changed.
 *
 *   SW1. Pages are written before the head that counts them, and removed after it.
 * @module
 */
import {
  pagesOf,
  paths,
  type StatusDocument,
  type StatusHead,
  type StatusPage,
  type Store,
  statusOf,
} from '../infra/store/index.ts'
import type { Writer } from './writer.ts'

export class StatusWriter {
  readonly #store: Store
  readonly #writer: Writer
  readonly #namespace: string
  /** By function: the pages last written, as JSON. */
  readonly #written = new Map<string, readonly string[]>()

  constructor(store: Store, writer: Writer, namespace: string) {
    this.#store = store
    this.#writer = writer
    this.#namespace = namespace
  }

  /** Takes over the statuses of an earlier leader. */
  async takeOver(): Promise<StatusDocument[]> {
    const statuses: StatusDocument[] = []
    for (const name of await this.#store.list(paths.statuses(this.#namespace))) {
      const head = await this.#writer.take<StatusHead>(paths.status(this.#namespace, name))
      const pages: StatusPage[] = []
      for (const number of await this.#store.list(paths.statusPages(this.#namespace, name))) {
        const page = await this.#writer.take<StatusPage>(this.#page(name, Number(number)))
        if (page !== undefined) pages.push(page)
      }
      this.#written.set(name, Array<string>(pages.length).fill(''))
      if (head !== undefined) statuses.push(statusOf(head, pages))
    }
    return statuses
  }

  async write(status: StatusDocument): Promise<void> {
    const name = status.function
    const { head, pages } = pagesOf(status)
    const before = this.#written.get(name) ?? []
    const json = pages.map((page) => JSON.stringify(page))
    for (const [at, page] of pages.entries())
      if (json[at] !== before[at]) await this.#writer.put(this.#page(name, at + 1), page)
    await this.#writer.put(paths.status(this.#namespace, name), head)
    for (let at = pages.length; at < before.length; at++) await this.#writer.remove(this.#page(name, at + 1))
    this.#written.set(name, json)
  }

  async remove(name: string): Promise<void> {
    const pages = this.#written.get(name)?.length ?? 0
    for (let page = 1; page <= pages; page++) await this.#writer.remove(this.#page(name, page))
    this.#written.delete(name)
    await this.#writer.remove(paths.status(this.#namespace, name))
  }

  #page(name: string, page: number): string {
    return paths.statusPage(this.#namespace, name, page)
  }
}
