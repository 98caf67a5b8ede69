/**
 * Garbage: collects garbage on request. V8 does not count shared memory as its own, so shared memory to which only garbage refers may
 * stay for long. A collection takes some milliseconds, so it is requested only where memory lacks.
 * @module
 */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

type Collector = () => void

let collector: Collector | undefined

/**
 * V8's collector of this heap. The first call must come before there is any isolate: V8's flag is for the process, so an isolate made
 * meanwhile on another thread would show `gc` to its function.
 */
export function findCollector(): Collector {
  if (collector !== undefined) return collector
  setFlagsFromString('--expose-gc')
  const gc = runInNewContext('gc') as Collector
  setFlagsFromString('--no-expose-gc')
  collector = () => gc() // with an argument, such as an exit's code, it would collect the young part of the heap only
  return collector
}
