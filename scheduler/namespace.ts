/**
 * Namespace: a store belongs to the namespace of the first scheduler that led on it. All schedulers of a store share one
 * election and one framework, and what a scheduler does not know of its framework it kills.
 * Design: docs/design/0003-processes-and-store.md, "Whose store it is"
 * @module
 */
import { type FrameworkDocument, paths, type Store, type TaskDocument } from '../infra/store/index.ts'
import { CodedError } from '../sdk/errors.ts'
import type { SchedulerErrorCode } from './errors.ts'

/** @throws {CodedError} ERR_OTHER_NAMESPACE if the store belongs to another namespace. */
export async function checkNamespace(store: Store, namespace: string): Promise<void> {
  const owner = await ownerOf(store, namespace)
  if (owner === undefined || owner === namespace) return
  throw new CodedError<SchedulerErrorCode>(
    'ERR_OTHER_NAMESPACE',
    `Cannot schedule the namespace '${namespace}': the store belongs to the namespace '${owner}'. ` +
      'Correct the setting namespace, or give each namespace a store of its own',
  )
}

/** Undefined: nobody's. */
async function ownerOf(store: Store, namespace: string): Promise<string | undefined> {
  const framework = (await store.get<FrameworkDocument>(paths.framework))?.value
  if (framework === undefined || framework.namespace !== undefined) return framework?.namespace
  // An older scheduler wrote it: only its tasks tell whose it is.
  const owners = new Set<string>()
  for (const taskId of await store.list(paths.tasks)) {
    const task = await store.get<TaskDocument>(paths.task(taskId))
    if (task !== undefined) owners.add(task.value.namespace)
  }
  return owners.has(namespace) ? namespace : [...owners][0]
}
