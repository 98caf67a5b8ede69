/**
 * Namespace: a store belongs to the namespace of the first scheduler that led on it. All schedulers of a store share one
 * election and one framework, and what a scheduler does not know of its framework it kills. What a gateway of another
 * namespace writes, nobody reads.
 * Design: docs/design/0003-processes-and-store.md, "Whose store it is"
 * @module
 */
import { CodedError, isCode } from '../../sdk/errors.ts'
import type { Clock } from '../clock.ts'
import type { InfraErrorCode } from '../errors.ts'
import { type FrameworkDocument, paths } from './documents.ts'
import type { Store } from './store.ts'

/** After which a store that did not answer is asked again. */
const againMs = 5_000

/** @throws {CodedError} ERR_OTHER_NAMESPACE if the store belongs to another namespace. */
export async function checkNamespace(store: Store, namespace: string): Promise<void> {
  const owner = await ownerOf(store, namespace)
  if (owner === undefined || owner === namespace) return
  throw new CodedError<InfraErrorCode>(
    'ERR_OTHER_NAMESPACE',
    `Cannot work for the namespace '${namespace}': the store belongs to the namespace '${owner}'. ` +
      'Correct the setting namespace, or give each namespace a store of its own',
  )
}

/**
 * Calls `refused` if the store, which may be nobody's yet, comes to belong to another namespace.
 * @returns A function that stops it.
 */
export function watchNamespace(
  store: Store,
  namespace: string,
  clock: Clock,
  refused: (error: Error) => void,
): () => void {
  let isEnded = false
  let cancel: (() => void) | undefined
  const look = (): void => {
    cancel?.()
    checkNamespace(store, namespace).catch((error: Error) => {
      if (isEnded) return
      if (isCode(error, 'ERR_OTHER_NAMESPACE')) refused(error)
      else cancel = clock.after(againMs, look)
    })
  }
  const unwatch = store.watch(paths.framework, look)
  return () => {
    isEnded = true
    unwatch()
    cancel?.()
  }
}

/** Undefined: nobody's. */
async function ownerOf(store: Store, namespace: string): Promise<string | undefined> {
  const framework = (await store.get<FrameworkDocument>(paths.framework))?.value
  if (framework === undefined || framework.namespace !== undefined) return framework?.namespace
  // An older scheduler wrote it: the epochs that it gave tell whose it is. Unlike tasks, they stay when all have ended.
  const owners = new Set((await store.list(paths.epochs)).map((name) => name.slice(0, name.indexOf('.'))))
  return owners.has(namespace) ? namespace : [...owners][0]
}
