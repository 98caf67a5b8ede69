/**
 * Election: one leader of a name at a time, by ephemeral sequential nodes: the lowest leads, and each watches the
 * next lower one.
 *
 * Their parent node has two counters: `epoch`, raised by each new leader, and `sealed`, the epoch of the last leader
 * that has taken over everything from those before.
 *
 *   ZE1. A leader holds the lowest node in a living session, and has raised the epoch since.
 *   ZE2. A node whose creation was not confirmed is found again by its name, so that no process waits for itself.
 *   ZE3. A leadership ends at once with its session, with its node, or when another leader has raised the epoch.
 * @module
 */
import { randomUUID } from 'node:crypto'
import { setTimeout } from 'node:timers/promises'
import { infraError } from '../../errors.ts'
import { codes, ephemeralSequential } from './client-protocol.ts'
import type { Nodes } from './nodes.ts'
import { isLoss, isRc, type Session } from './session.ts'

/** How long `release` waits for the servers. */
const leaveMs = 1_000

/** The data of a leader's node. */
interface Count {
  readonly format: 1
  readonly epoch: number
  readonly sealed: number
  /** Identifies the write that raised the epoch. */
  readonly write: string
}

export interface ElectionOptions {
  readonly session: Session
  readonly nodes: Nodes
  /** The node of the name. */
  readonly top: string
  readonly signal: AbortSignal
}

export interface Won {
  readonly epoch: number
  /** Aborted when it is over (ZE3). */
  readonly lost: AbortSignal
  seal(): Promise<void>
  release(): Promise<void>
}

/** Waits for the leadership. @throws What the session ended with, or the signal's reason. */
export async function campaign(options: ElectionOptions): Promise<Won> {
  const { session, nodes, top, signal } = options
  await nodes.ensure(top)
  const guid = randomUUID()
  try {
    const own = await enter(options, guid)
    await untilLowest(options, own)
    const epoch = await raiseEpoch(options)
    return new Leading(options, own, epoch, () => leave(session, top, guid))
  } catch (error) {
    void leave(session, top, guid)
    signal.throwIfAborted()
    throw error
  }
}

/** The last sealed epoch; 0 before any. `changed` is called once when it may have changed. */
export async function readSealed(session: Session, top: string, changed: () => void): Promise<number> {
  const unlisten = session.on(top, (event) => {
    if (event === 'child') return
    unlisten()
    changed()
  })
  try {
    const found = await session.get(top, true, session.ended)
    if (found !== undefined) return countOf(found.data).sealed
    await session.exists(top, true, session.ended) // a look that finds nothing leaves no watch
    return 0
  } catch (error) {
    unlisten()
    throw error
  }
}

async function enter({ session, nodes, top, signal }: ElectionOptions, guid: string): Promise<string> {
  for (;;) {
    const made = await session.create(`${top}/${guid}-`, ephemeralSequential, signal).catch(async (error) => {
      if (!isLoss(error)) throw error
      return findOwn(session, top, guid, signal) // ZE2
    })
    if (made === undefined) continue
    if (await nodes.protect(made)) return made
  }
}

async function untilLowest({ session, top, signal }: ElectionOptions, own: string): Promise<void> {
  for (;;) {
    const names = ((await session.children(top, false, signal)) ?? []).sort(
      (a, b) => sequenceOf(a) - sequenceOf(b),
    )
    const at = names.indexOf(own.slice(top.length + 1))
    if (at === 0) return
    if (at < 0) throw goneError(own)
    await untilGone(session, `${top}/${names[at - 1]}`, signal)
  }
}

/** Resolves when the node may have been removed. */
async function untilGone(session: Session, node: string, signal: AbortSignal): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  promise.catch(() => {})
  const unlisten = session.on(node, () => resolve())
  const end = () => reject(session.ended.aborted ? session.ended.reason : signal.reason)
  signal.addEventListener('abort', end, { once: true })
  session.ended.addEventListener('abort', end, { once: true })
  try {
    if ((await session.exists(node, true, signal)) !== undefined) await promise
  } finally {
    unlisten()
    signal.removeEventListener('abort', end)
    session.ended.removeEventListener('abort', end)
  }
}

async function raiseEpoch({ session, top, signal }: ElectionOptions): Promise<number> {
  const write = randomUUID()
  for (;;) {
    const found = await session.get(top, false, signal)
    if (found === undefined) throw goneError(top)
    const before = countOf(found.data)
    if (before.write === write) return before.epoch
    const epoch = before.epoch + 1
    if (await setCount(session, top, { ...before, epoch, write }, found.stat.version, signal)) return epoch
  }
}

class Leading implements Won {
  readonly epoch: number
  readonly #session: Session
  readonly #top: string
  readonly #own: string
  readonly #leave: () => Promise<void>
  readonly #lost = new AbortController()
  readonly #unlisten: readonly (() => void)[]

  constructor({ session, top }: ElectionOptions, own: string, epoch: number, leave: () => Promise<void>) {
    this.#session = session
    this.#top = top
    this.#own = own
    this.epoch = epoch
    this.#leave = leave
    const end = () => this.#end(session.ended.reason)
    if (session.ended.aborted) end()
    session.ended.addEventListener('abort', end, { once: true })
    const look = (event: string) => event !== 'child' && void this.#look()
    this.#unlisten = [session.on(own, look), session.on(top, look)]
    void this.#look()
  }

  get lost(): AbortSignal {
    return this.#lost.signal
  }

  async seal(): Promise<void> {
    for (;;) {
      const found = await this.#session.get(this.#top, false, this.#session.ended)
      const count = found && countOf(found.data)
      if (found === undefined || count?.epoch !== this.epoch) throw this.#end(goneError(this.#own))
      if (count.sealed === this.epoch) return
      const sealed = { ...count, sealed: this.epoch }
      if (await setCount(this.#session, this.#top, sealed, found.stat.version, this.#session.ended)) return
    }
  }

  async release(): Promise<void> {
    if (this.#lost.signal.aborted) return
    this.#end(new Error('the leadership was given up'))
    await Promise.race([this.#leave(), setTimeout(leaveMs, undefined, { ref: false })])
  }

  /** Checks whether we still lead, and watches for the next change. */
  async #look(): Promise<void> {
    try {
      const [own, found] = await Promise.all([
        this.#session.exists(this.#own, true, this.#session.ended),
        this.#session.get(this.#top, true, this.#session.ended),
      ])
      if (own === undefined || found === undefined || countOf(found.data).epoch !== this.epoch)
        this.#end(goneError(this.#own))
    } catch (error) {
      this.#end(error)
    }
  }

  #end(reason: unknown): unknown {
    for (const unlisten of this.#unlisten ?? []) unlisten()
    this.#lost.abort(reason)
    return reason
  }
}

async function setCount(
  session: Session,
  top: string,
  count: Count,
  version: number,
  signal: AbortSignal,
): Promise<boolean> {
  try {
    await session.set(top, Buffer.from(JSON.stringify(count)), version, signal)
    return true
  } catch (error) {
    if (isLoss(error) || isRc(error, codes.badVersion)) return false
    throw error
  }
}

function countOf(data: Buffer): Count {
  if (data.length === 0) return { format: 1, epoch: 0, sealed: 0, write: '' }
  return JSON.parse(data.toString()) as Count
}

/** The sequence number that ZooKeeper appends to a name. */
function sequenceOf(name: string): number {
  return Number(name.slice(-10))
}

async function findOwn(
  session: Session,
  top: string,
  guid: string,
  signal: AbortSignal,
): Promise<string | undefined> {
  const name = (await session.children(top, false, signal))?.find((one) => one.startsWith(guid))
  return name && `${top}/${name}`
}

/**
 * Removes our node from the queue, even if its creation was not confirmed; the end of the session removes it as well.
 */
async function leave(session: Session, top: string, guid: string): Promise<void> {
  while (!session.ended.aborted) {
    try {
      const own = await findOwn(session, top, guid, session.ended)
      if (own === undefined) return
      await session.delete(own, -1, session.ended)
    } catch (error) {
      if (!isLoss(error) && !isRc(error, codes.noNode)) return
    }
  }
}

function goneError(node: string): Error {
  return infraError(
    'ERR_STORE_SESSION',
    `The leadership is lost: ${node} was removed, or another has taken over`,
  )
}
