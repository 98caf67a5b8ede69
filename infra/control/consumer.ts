/**
 * A function as a consumer of one of its inputs.
 * @module
 */
import type { Manifest } from '../../sdk/manifest.ts'
import type { ConsumerDescriptor } from './messages.ts'

/** What producers must know of it. */
export function consumerOf(
  name: string,
  { backPressure, queueMib, queueAgeMs }: Manifest['istreams'][string],
): ConsumerDescriptor {
  return {
    ...{ name, backPressure },
    ...(queueMib === undefined ? {} : { queueMib }),
    ...(queueAgeMs === undefined ? {} : { queueAgeMs }),
  }
}
