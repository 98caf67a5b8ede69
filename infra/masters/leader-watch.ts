/**
 * LeaderWatch: follows which Mesos master leads, as long as it is open.
 *
 *   LW1. Each change of the leader is reported, in order; a leader that comes and goes between two looks may be
 *        missed.
 *   LW2. While ZooKeeper is away, or nobody leads, the last leader remains in effect: it may well continue.
 * @module
 */
import { setTimeout as wait } from 'node:timers/promises'
import { isCode } from '../../sdk/errors.ts'
import { describeServers } from '../store/zookeeper/servers.ts'
import { Session } from '../store/zookeeper/session.ts'
import { leaderOf, urlOf } from './master-node.ts'
import type { MastersUrl } from './masters-url.ts'

export interface LeaderWatchOptions {
  readonly at: MastersUrl
  /** Called when another master leads. */
  readonly leads: (url: string) => void
  /** Called when the watch cannot continue: the client is not installed. */
  readonly failed: (error: Error) => void
  readonly log: { info(text: string): void; warn(text: string): void }
}

export interface LeaderWatch {
  close(): Promise<void>
}

const sessionTimeoutMs = 10_000
const connectMs = 30_000
const retryMs = 1_000
/** A node that was created but not written yet is read again after this time. */
const unwrittenMs = 200

export function watchLeader(options: LeaderWatchOptions): LeaderWatch {
  const closing = new AbortController()
  const watching = watch(options, closing.signal)
  return {
    async close() {
      closing.abort()
      await watching
    },
  }
}

/** One session after another. */
async function watch(options: LeaderWatchOptions, signal: AbortSignal): Promise<void> {
  const { at, log } = options
  let leader: string | undefined
  const found = ({ url }: LeaderFound): void => {
    if (url !== leader) options.leads(url)
    leader = url
  }
  while (!signal.aborted) {
    try {
      const { user, password } = at
      const session = await Session.open({
        ...{ address: at, user, password, timeoutMs: sessionTimeoutMs, connectMs, signal },
      })
      try {
        await follow(options, session, signal, found)
      } finally {
        await session.close()
      }
    } catch (error) {
      if (signal.aborted) return
      if (isCode(error, 'ERR_STORE_MODULE')) return options.failed(error)
      log.warn(`the Mesos masters cannot be found in ZooKeeper: ${(error as Error).message}`)
      await wait(retryMs, undefined, { signal }).catch(() => {})
    }
  }
}

export interface LeaderFound {
  /** The name of its node. */
  readonly name: string
  readonly url: string
  /** What the master says about itself. */
  readonly info: string
}

/** Looks after each change, until the session ends. @throws The reason of its end. */
export async function follow(
  { at, log }: Pick<LeaderWatchOptions, 'at' | 'log'>,
  session: Session,
  signal: AbortSignal,
  found: (leader: LeaderFound) => void,
): Promise<never> {
  const life = AbortSignal.any([signal, session.ended])
  const over = new Promise<void>((resolve) => {
    if (life.aborted) resolve()
    life.addEventListener('abort', () => resolve(), { once: true })
  })
  let told = ''
  const tell = (text: string): void => {
    if (text !== told) log.info(text)
    told = text
  }
  while (!life.aborted) {
    const changed = Promise.withResolvers<void>()
    const stop = session.on(at.root, () => changed.resolve())
    // The parent may not exist yet; then wait for it.
    const names = (await session.exists(at.root, true, life)) && (await session.children(at.root, true, life))
    const leader = leaderOf(names ?? [])
    const node = leader && (await session.get(`${at.root}/${leader.name}`, false, life))
    const url = leader && node && urlOf(leader, node.data)
    if (leader && node && url !== undefined) found({ name: leader.name, url, info: node.data.toString() })
    if (url !== undefined) tell(`the Mesos master at ${url} leads`)
    else if (leader === undefined) tell(`no Mesos master leads at ${describeServers(at)}${at.root}`)
    else if (node !== undefined && node.data.length > 0)
      log.warn(`the leading Mesos master does not say where it is: ${at.root}/${leader.name}`)
    const again = leader !== undefined && url === undefined ? [wait(unwrittenMs)] : []
    await Promise.race([changed.promise, over, ...again])
    stop()
  }
  signal.throwIfAborted()
  throw session.ended.reason
}
