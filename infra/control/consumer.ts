/**
 * Consumer: how functions and followers appear as consumers of a stream.
 * @module
 */

import type { Grouping } from '../../sdk/index.ts'
import { isQueueMode } from '../../sdk/manifest/back-pressure.ts'
import type { Manifest } from '../../sdk/manifest/manifest.ts'
import type { ConsumerDescriptor } from './messages/streams.ts'

/**
 * The consumer name of an instance for an input. For a broadcast input each instance is a consumer of its own
 * (docs/design/0024-broadcast.md).
 */
export function consumerName(name: string, grouping: Grouping | undefined, index: number): string {
  return grouping === 'broadcast' ? `${name}@${index}` : name
}

export function functionOfConsumer(consumer: string): string {
  return consumer.split('@', 1)[0]!
}

/** Whether two functions of one name are not the same, by when they were created. Where that is not known they count as the same. */
export function isOfAnother(createdAtMs: number | undefined, otherMs: number | undefined): boolean {
  return createdAtMs !== undefined && otherMs !== undefined && createdAtMs !== otherMs
}

/** An instance that counts as a consumer of a broadcast input. */
export interface Reader {
  readonly index: number
  /** It is being removed: producers do not wait for it. */
  readonly retiring: boolean
}

/** A function's consumers of a stream, given these instances, and when it was created. */
export function consumersOf(
  name: string,
  input: Manifest['istreams'][string],
  readers: readonly Reader[],
  createdAtMs?: number,
): ConsumerDescriptor[] {
  if (input.grouping !== 'broadcast') return [consumerOf(name, input, createdAtMs)]
  // If there are no instances, name the first future one: records wait for it and wake the function.
  const first = { index: 0, retiring: false }
  const isEmpty = readers.every(({ retiring }) => retiring)
  const all = isEmpty ? [first, ...readers.filter(({ index }) => index !== 0)] : readers
  return all.map(({ index, retiring }) => {
    const consumer = consumerOf(consumerName(name, 'broadcast', index), input, createdAtMs)
    return retiring && !isQueueMode(consumer.backPressure) ? { ...consumer, backPressure: 'none' } : consumer
  })
}

/** The consumer name of a holding follower. */
export function followerName(id: string): string {
  return `follower.${id}`
}

/** The holding followers as consumers, by id; not those that another one has replaced. */
export function holdersOf(
  followers: ReadonlyMap<string, { readonly instead?: string }>,
): ConsumerDescriptor[] {
  const replaced = new Set([...followers.values()].map(({ instead }) => instead))
  return [...followers]
    .filter(([id]) => !replaced.has(id))
    .map(([id, { instead }]) => ({
      ...{ name: followerName(id), backPressure: 'block' },
      ...(instead !== undefined && { instead: followerName(instead) }),
    }))
}

function consumerOf(
  name: string,
  { backPressure, queueMib, queueAgeMs }: Manifest['istreams'][string],
  createdAtMs: number | undefined,
): ConsumerDescriptor {
  return {
    ...{ name, backPressure },
    ...(queueMib === undefined ? {} : { queueMib }),
    ...(queueAgeMs === undefined ? {} : { queueAgeMs }),
    ...(createdAtMs === undefined || !isQueueMode(backPressure) ? {} : { createdAtMs }),
  }
}
