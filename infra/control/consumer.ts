/**
 * A function as a consumer of one of its inputs.
 * @module
 */

import type { Grouping } from '../../sdk/index.ts'
import { isQueueMode } from '../../sdk/manifest/back-pressure.ts'
import type { Manifest } from '../../sdk/manifest/manifest.ts'
import type { ConsumerDescriptor } from './messages.ts'

/** The name by which an instance reads an input: to a broadcast one each is a consumer of its own (docs/design/0024-broadcast.md). */
export function consumerName(name: string, grouping: Grouping | undefined, index: number): string {
  return grouping === 'broadcast' ? `${name}@${index}` : name
}

export function functionOfConsumer(consumer: string): string {
  return consumer.split('@', 1)[0]!
}

/** An instance that a broadcast input has for a consumer. */
export interface Reader {
  readonly index: number
  /** It goes for good: nobody waits for it any more. */
  readonly retiring: boolean
}

/** What producers must know of a function that reads a stream with these instances. */
export function consumersOf(
  name: string,
  input: Manifest['istreams'][string],
  readers: readonly Reader[],
): ConsumerDescriptor[] {
  if (input.grouping !== 'broadcast') return [consumerOf(name, input)]
  // Of a function without instances, the one that it will have first: its records wait, and wake it.
  const first = { index: 0, retiring: false }
  const isEmpty = readers.every(({ retiring }) => retiring)
  const all = isEmpty ? [first, ...readers.filter(({ index }) => index !== 0)] : readers
  return all.map(({ index, retiring }) => {
    const consumer = consumerOf(consumerName(name, 'broadcast', index), input)
    return retiring && !isQueueMode(consumer.backPressure) ? { ...consumer, backPressure: 'none' } : consumer
  })
}

/** The name by which a reader over HTTP that holds a stream back is a consumer of it. */
export function followerName(id: string): string {
  return `follower.${id}`
}

/** What producers must know of such readers, by id; not of one for whom another goes on. */
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
): ConsumerDescriptor {
  return {
    ...{ name, backPressure },
    ...(queueMib === undefined ? {} : { queueMib }),
    ...(queueAgeMs === undefined ? {} : { queueAgeMs }),
  }
}
