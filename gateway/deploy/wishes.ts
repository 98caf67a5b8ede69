/**
 * Wishes: the other changes of what is wanted: delete or scale a function, kill an instance, create or remove a
 * stream.
 * @module
 */
import { randomUUID } from 'node:crypto'
import {
  type CommandDocument,
  type FunctionDocument,
  paths,
  type Store,
  type StreamDocument,
  upsert,
} from '../../infra/store/index.ts'
import type { StreamConfig } from '../../sdk/api/index.ts'
import type { Catalog, CatalogView } from '../catalog/catalog.ts'
import { refuse } from '../errors.ts'

/** Marks a function as deleted: the scheduler drains its instances and then removes it. */
export async function deleteFunction(store: Store, ns: string, name: string): Promise<void> {
  await upsert<FunctionDocument>(store, paths.function(ns, name), (before) => {
    if (before === undefined) throw unknownFunction(name)
    return { ...before, deleted: true }
  })
}

/**
 * Sets the number of instances. If the function has a scaling policy, the number is a pin until a person removes it.
 */
export async function scaleFunction(
  store: Store,
  ns: string,
  name: string,
  instances: number,
  { hasPolicy, nowMs }: { readonly hasPolicy: boolean; readonly nowMs: number },
): Promise<void> {
  await upsert<FunctionDocument>(store, paths.function(ns, name), (before) => {
    if (before === undefined || before.deleted === true) throw unknownFunction(name)
    const scaled = scaledTo(before, instances, nowMs, 'a person wants so many')
    return { ...before, instances, ...scaled, ...(hasPolicy && { pinned: true }) }
  })
}

const scaledKept = 20

/** A change of the count by hand, with the history of such changes. */
export function scaledTo(
  { instances: from, scaled = [] }: Pick<FunctionDocument, 'instances' | 'scaled'>,
  to: number,
  atMs: number,
  because: string,
): Pick<FunctionDocument, 'scaled'> {
  return from === to ? {} : { scaled: [...scaled, { atMs, from, to, because }].slice(-scaledKept) }
}

/** Removes the pin, so that the function's policy scales again. @returns How many instances are wanted so far. */
export async function unpinFunction(store: Store, ns: string, name: string): Promise<number> {
  let instances = 0
  await upsert<FunctionDocument>(store, paths.function(ns, name), (before) => {
    if (before === undefined || before.deleted === true) throw unknownFunction(name)
    const { pinned: _, ...rest } = before
    instances = rest.instances
    return rest
  })
  return instances
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

/** Creates a stream, or changes the settings that may change. */
export async function putStream(
  store: Store,
  ns: string,
  name: string,
  { partitions, raw }: StreamConfig,
): Promise<void> {
  await upsert<StreamDocument>(store, paths.stream(ns, name), (before) => {
    if (before !== undefined && before.partitions !== partitions) {
      throw refuse(
        'ERR_STREAM_PARTITIONS_FIXED',
        `Cannot give stream '${name}' ${partitions} partitions: it has ${before.partitions}, and its keys would move away from their state. Make a stream of another name.`,
      )
    }
    return { schema: 1, partitions, raw }
  })
}

/**
 * Removes a stream that nobody uses. If another gateway deploys a function that uses it at this moment, the stream
 * stays.
 */
export async function removeStream(store: Store, ns: string, catalog: Catalog, name: string): Promise<void> {
  await catalog.refresh()
  refuseUsed(catalog.current, name)
  const path = paths.stream(ns, name)
  const document = (await store.get<StreamDocument>(path))?.value
  if (document === undefined) throw unknownStream(name)
  await store.remove(path)
  await catalog.refresh()
  try {
    refuseUsed(catalog.current, name)
  } catch (refusal) {
    await upsert<StreamDocument>(store, path, () => document)
    throw refusal
  }
}

function refuseUsed({ streams }: CatalogView, name: string): void {
  const { producers = [], consumers = [], followers = new Map() } = streams.get(name) ?? {}
  const users = [
    ...producers.map((user) => `'${user}' writes it`),
    ...consumers.map((user) => `'${user}' reads it`),
    ...(followers.size > 0 ? [`${followers.size} readers hold it back`] : []),
  ]
  if (users.length === 0) return
  const functions = [...new Set([...producers, ...consumers])]
  const end = [
    ...functions.map((user) => `\`concord fn rm ${user}\``),
    ...(followers.size > 0 ? ['end the readers'] : []),
  ]
  throw refuse(
    'ERR_STREAM_USED',
    `Cannot remove stream '${name}': ${users.join(', ')}. First ${end.join(', ')}.`,
  )
}

export function unknownFunction(name: string): Error {
  return refuse(
    'ERR_FUNCTION_UNKNOWN',
    `There is no function '${name}'. \`concord fn ls\` shows those there are.`,
  )
}

export function unknownStream(name: string): Error {
  return refuse(
    'ERR_STREAM_UNKNOWN',
    `There is no stream '${name}'. Create it by \`concord stream create ${name}\`, or deploy a function that names it.`,
  )
}
