/**
 * Membership: a master's node in ZooKeeper, from `joinMasters` until `leave`, and the resulting role: leader or
 * standby.
 *
 *   MM1. The node ends with the session. A standby creates it again in the next session, after those that joined
 *        meanwhile.
 *   MM2. A leader leaves for good if it loses its session, was cut off from ZooKeeper for the length of a session, or
 *        finds another master before it.
 * @module
 */
import { setTimeout as wait } from 'node:timers/promises'
import { codes, ephemeralSequential } from '../store/zookeeper/client-protocol.ts'
import { isLoss, isRc, Session } from '../store/zookeeper/session.ts'
import { follow } from './leader-watch.ts'
import { nodeLabel } from './master-node.ts'
import type { MastersUrl } from './masters-url.ts'

export interface MembershipOptions {
  readonly at: MastersUrl
  /** A MasterInfo. */
  readonly info: unknown
  readonly sessionTimeoutMs?: number
  /** Called once, when it becomes the leader. */
  readonly leads?: () => void
  /** Called when the leader changes, while this one is a standby. */
  readonly follows?: (url: string) => void
  /** Called once, when it stops leading. */
  readonly lost?: (why: Error) => void
  readonly log: { info(text: string): void; warn(text: string): void }
}

export interface Membership {
  /** Resolves when the node exists. */
  readonly joined: Promise<void>
  leave(): Promise<void>
}

const sessionTimeoutDefaultMs = 10_000 // Mesos's own
const connectMs = 30_000
const retryMs = 1_000

export function joinMasters(options: MembershipOptions): Membership {
  const leaving = new AbortController()
  const joined = Promise.withResolvers<void>()
  const life = stay(options, leaving.signal, joined.resolve)
  return {
    joined: joined.promise,
    async leave() {
      leaving.abort()
      await life
    },
  }
}

async function stay(options: MembershipOptions, signal: AbortSignal, joined: () => void): Promise<void> {
  const { at, sessionTimeoutMs: timeoutMs = sessionTimeoutDefaultMs, log } = options
  const role = { leads: false }
  while (!signal.aborted) {
    try {
      const { user, password } = at
      const session = await Session.open({ address: at, user, password, timeoutMs, connectMs, signal })
      try {
        await enter(options, session)
        joined()
        await compete(options, session, signal, role)
      } finally {
        await session.close() // the node goes with it
      }
    } catch (error) {
      if (signal.aborted) return
      if (role.leads) return options.lost?.(error as Error) // MM2
      log.warn(`cannot be found in ZooKeeper: ${(error as Error).message}`)
      await wait(retryMs, undefined, { signal }).catch(() => {})
    }
  }
}

/** Competes until the session ends. @throws The reason of its end. */
async function compete(
  { at, info: own, log, leads, follows }: MembershipOptions,
  session: Session,
  signal: AbortSignal,
  role: { leads: boolean },
): Promise<never> {
  let leader: string | undefined
  const failed = new AbortController()
  let cutOff: NodeJS.Timeout | undefined
  session.onConnection = (up) => {
    clearTimeout(cutOff)
    if (up) return
    cutOff = setTimeout(() => {
      if (role.leads) failed.abort(new Error(`ZooKeeper did not answer for ${session.timeoutMs} ms`))
    }, session.timeoutMs)
  }
  session.ended.addEventListener('abort', () => clearTimeout(cutOff), { once: true })
  return await follow(
    { at, log },
    session,
    AbortSignal.any([signal, failed.signal]),
    ({ name, url, info }) => {
      if (name === leader) return
      leader = name
      if (info === JSON.stringify(own)) {
        role.leads = true
        leads?.()
      } else if (role.leads) failed.abort(new Error(`another master leads, at ${url}`))
      else follows?.(url)
    },
  )
}

async function enter({ at: { root }, info }: MembershipOptions, session: Session): Promise<void> {
  await ensure(session, root)
  // After a lost answer there may be two nodes of ours; both belong to this session and say the same.
  const path = await retried(() => session.create(`${root}/${nodeLabel}`, ephemeralSequential, session.ended))
  await retried(() => session.set(path, Buffer.from(JSON.stringify(info)), -1, session.ended))
}

async function ensure(session: Session, path: string): Promise<void> {
  const above = path.slice(0, path.lastIndexOf('/'))
  if (above !== '') await ensure(session, above)
  try {
    await retried(() => session.create(path, 0, session.ended))
  } catch (error) {
    if (!isRc(error, codes.nodeExists)) throw error
  }
}

async function retried<T>(call: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await call()
    } catch (error) {
      if (!isLoss(error)) throw error
    }
  }
}
