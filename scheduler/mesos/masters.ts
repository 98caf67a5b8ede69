/**
 * Masters: which master to subscribe to next: the next of a list, or the leader announced in ZooKeeper.
 * @module
 */
import { parseMastersUrl, watchLeader } from '../../infra/masters/index.ts'

export interface Masters {
  /** `http://host:port`; waits until there is one. Undefined once closed. */
  next(): Promise<string | undefined>
  close(): Promise<void>
}

export function listedMasters(urls: readonly string[]): Masters {
  let next = 0
  return { next: async () => urls[next++ % urls.length], close: async () => {} }
}

export interface ElectedOptions {
  /** `zk://host,host/mesos` */
  readonly url: string
  /** Called when the leader changes after `next` answered. */
  readonly changed: () => void
  readonly failed: (error: Error) => void
  readonly log: { info(text: string): void; warn(text: string): void }
}

/** @throws {CodedError} ERR_MASTERS_URL */
export function electedMasters({ url, changed, failed, log }: ElectedOptions): Masters {
  const known = Promise.withResolvers<void>()
  let leader: string | undefined
  const watch = watchLeader({
    ...{ at: parseMastersUrl(url), failed, log },
    leads(found) {
      leader = found
      known.resolve()
      changed()
    },
  })
  return {
    async next() {
      await known.promise
      return leader
    },
    async close() {
      leader = undefined
      known.resolve()
      await watch.close()
    },
  }
}
