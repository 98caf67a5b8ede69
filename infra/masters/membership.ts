/**
 * Membership: a master's node in ZooKeeper, from `joinMasters` until `leave`. It goes with the session, and comes back with
 * the next one, behind those that came meanwhile.
 * @module
 */
import { setTimeout as wait } from 'node:timers/promises'
import { codes, ephemeralSequential } from '../store/zookeeper/client-protocol.ts'
import { isLoss, isRc, Session } from '../store/zookeeper/session.ts'
import { nodeLabel } from './master-node.ts'
import type { MastersUrl } from './masters-url.ts'

export interface MembershipOptions {
  readonly at: MastersUrl
  /** A MasterInfo. */
  readonly info: unknown
  readonly sessionTimeoutMs?: number
  readonly log: { warn(text: string): void }
}

export interface Membership {
  /** The node is there; resolves once. */
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
  while (!signal.aborted) {
    try {
      const { user, password } = at
      const session = await Session.open({ address: at, user, password, timeoutMs, connectMs, signal })
      try {
        await enter(options, session)
        joined()
        const over = AbortSignal.any([signal, session.ended])
        await new Promise((resolve) => {
          if (over.aborted) resolve(undefined)
          over.addEventListener('abort', resolve, { once: true })
        })
      } finally {
        await session.close() // the node goes with it
      }
    } catch (error) {
      if (signal.aborted) return
      log.warn(`cannot be found in ZooKeeper: ${(error as Error).message}`)
      await wait(retryMs, undefined, { signal }).catch(() => {})
    }
  }
}

async function enter({ at: { root }, info }: MembershipOptions, session: Session): Promise<void> {
  await ensure(session, root)
  // After a lost answer there may be two of ours: the session that made them is the same, and so is what they say.
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
