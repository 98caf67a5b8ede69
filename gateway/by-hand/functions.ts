/**
 * Functions: deletes a function, and ends an instance.
 * @module
 */
import { randomUUID } from 'node:crypto'
import {
  type CommandDocument,
  type FunctionDocument,
  paths,
  type Store,
  upsert,
} from '../../infra/store/index.ts'
import type { CatalogView } from '../catalog/catalog.ts'
import { refuse, unknownFunction } from '../errors.ts'

/** Marks a function as deleted: the scheduler drains its instances and then removes it. */
export async function deleteFunction(store: Store, ns: string, name: string): Promise<void> {
  await upsert<FunctionDocument>(store, paths.function(ns, name), (before) => {
    if (before === undefined) throw unknownFunction(name)
    return { ...before, deleted: true }
  })
}

/** Asks the scheduler to drain and end one instance. */
export async function killInstance(
  store: Store,
  ns: string,
  view: CatalogView,
  id: string,
  restart: boolean,
): Promise<void> {
  const live = [...view.functions.values()].find(({ status }) => status?.instances.some((i) => i.id === id))
  if (live === undefined) {
    const name = id.replace(/-\d+$/, '')
    const look = view.functions.has(name)
      ? `\`concord fn inspect ${name}\` shows those that '${name}' has.`
      : `There is no function '${name}' either; \`concord fn ls\` shows those there are.`
    throw refuse('ERR_INSTANCE_UNKNOWN', `Cannot kill instance '${id}': there is none of that id. ${look}`)
  }
  const command: CommandDocument = {
    schema: 1,
    kind: 'killInstance',
    function: live.name,
    instance: id,
    restart,
  }
  await store.create(paths.command(ns, randomUUID()), command)
}
