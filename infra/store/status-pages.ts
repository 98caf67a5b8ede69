/**
 * StatusPages: splits the status of a function for the store: a head with the first instances, and pages with the
 * others. So no document grows with the number of instances, and a change of a few among a thousand writes a few KB.
 *
 *   SP1. The status of up to `pageInstances` instances is one document, read and written as one.
 *   SP2. A larger status may be read while it is written, and then show an instance in its earlier state for a
 *        moment, but never twice.
 * @module
 */
import { type InstanceStatus, paths, type StatusDocument } from './documents.ts'
import type { Store } from './store.ts'

export const pageInstances = 16

/** The document at `paths.status`. */
export interface StatusHead extends StatusDocument {
  /** How many pages follow, from 1 on. */
  readonly pages?: number
}

/** The document at `paths.statusPage`. */
export interface StatusPage {
  readonly schema: 1
  readonly instances: readonly InstanceStatus[]
}

export interface PagedStatus {
  readonly head: StatusHead
  readonly pages: readonly StatusPage[]
}

export function pagesOf(status: StatusDocument): PagedStatus {
  const { instances } = status
  if (instances.length <= pageInstances) return { head: status, pages: [] }
  const pages: StatusPage[] = []
  for (let at = pageInstances; at < instances.length; at += pageInstances)
    pages.push({ schema: 1, instances: instances.slice(at, at + pageInstances) })
  return { head: { ...status, instances: instances.slice(0, pageInstances), pages: pages.length }, pages }
}

/** Joins head and pages, ordered by instance. */
export function statusOf(
  { pages: _count, ...head }: StatusHead,
  pages: readonly StatusPage[],
): StatusDocument {
  if (pages.length === 0) return head
  const byId = new Map<string, InstanceStatus>()
  for (const instance of [...head.instances, ...pages.flatMap(({ instances }) => instances)])
    byId.set(instance.id, instance)
  return { ...head, instances: [...byId.values()].sort((a, b) => a.index - b.index) }
}

/** Undefined if there is none. */
export async function readStatus(store: Store, ns: string, fn: string): Promise<StatusDocument | undefined> {
  const head = (await store.get<StatusHead>(paths.status(ns, fn)))?.value
  if (head === undefined) return undefined
  const pages: StatusPage[] = []
  for (let page = 1; page <= (head.pages ?? 0); page++) {
    const found = await store.get<StatusPage>(paths.statusPage(ns, fn, page))
    if (found !== undefined) pages.push(found.value)
  }
  return statusOf(head, pages)
}
