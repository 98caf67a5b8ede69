/**
 * Garbage: V8 does not count shared memory as its own, so what is held by garbage alone may stay for long. Collecting takes some
 * milliseconds: only where memory lacks.
 * @module
 */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

type Collector = () => void

let collector: Collector | undefined

/**
 * V8's collector of this heap. To be asked for first before there is any isolate: the context of one that is made on another thread
 * while this looks would have it too, for its function to see.
 */
export function findCollector(): Collector {
  if (collector !== undefined) return collector
  setFlagsFromString('--expose-gc')
  collector = runInNewContext('gc') as Collector
  setFlagsFromString('--no-expose-gc')
  return collector
}
