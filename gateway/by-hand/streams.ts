/**
 * Streams: creates, changes and removes a stream.
 * @module
 */
import { paths, type Store, type StreamDocument, upsert } from '../../infra/store/index.ts'
import type { StreamConfig } from '../../sdk/api/index.ts'
import { partitionsDefault } from '../../sdk/manifest/manifest.ts'
import type { Catalog, CatalogView } from '../catalog/catalog.ts'
import { refuse, unknownStream } from '../errors.ts'

/** Creates a stream, or changes the settings that may change. What `wish` leaves out stays as it is. @returns Whether it is new. */
export async function putStream(
  store: Store,
  ns: string,
  name: string,
  wish: StreamConfig,
): Promise<boolean> {
  let isNew = false
  await upsert<StreamDocument>(store, paths.stream(ns, name), (before) => {
    isNew = before === undefined
    const partitions = wish.partitions ?? before?.partitions ?? partitionsDefault
    const raw = wish.raw ?? before?.raw ?? false
    if (before !== undefined && before.partitions !== partitions) {
      throw refuse(
        'ERR_STREAM_PARTITIONS_FIXED',
        `Cannot give stream '${name}' ${partitions} partitions: it has ${before.partitions}, and its keys would move away from their state. Make a stream of another name, or, if no function uses it, remove it first (\`concord stream rm ${name}\`).`,
      )
    }
    return { schema: 1, partitions, raw }
  })
  return isNew
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
  if (document === undefined)
    throw unknownStream(name, catalog.current.streams, '`concord stream ls` shows those there are.')
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
