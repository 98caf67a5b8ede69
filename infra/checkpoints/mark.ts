/**
 * Mark: which store the checkpoints of a namespace belong to: a message beside them with the store's id. A gateway deletes the
 * checkpoints of functions that its store does not know, so it must be sure that they belong to that store.
 *
 *   MK1. Of several stores that claim a namespace at once, one succeeds.
 *   MK2. A namespace passes from one store to another only if the claim names the former one.
 *   MK3. A mark that is gone is written again only if the claim names its own store as the one that it replaces: the checkpoints
 *        are gone with it, or an empty copy leads for a while.
 *   MK4. A claim that names a store does so once: a setting that is left gives up nothing again. The next time the name is another
 *        one (`wordFor`).
 * Design: docs/design/0003-processes-and-store.md
 * @module
 */
import { type JetStreamManager, jetstream } from '@nats-io/jetstream'
import * as z from 'zod'
import { checkpointMarkSubject } from '../bus/messages/subjects.ts'
import type { NatsConnection } from '../bus/wire/connect.ts'
import { infraError } from '../errors.ts'
import {
  apiCode,
  apiCodes,
  LostError,
  patienceMs,
  patiently,
  readLatest,
  requestTimeoutMs,
  storeReason,
} from '../jetstream.ts'
import { checkpointStream, lostText } from './store.ts'

const markSchema = z.object({ schema: z.literal(1), store: z.string() })

export interface Claimant {
  /** Of the store. */
  readonly id: string
  /** Names the store that it replaces (`wordFor`); the checkpoints of that one are given up. */
  readonly replaces?: string | undefined
  /** Whether this store has marked the namespace before. */
  readonly isMarked?: boolean
  /** Names with which it has replaced a store before (MK4). */
  readonly replaced?: readonly string[]
}

/** The name by which a store can be replaced now: its id, then `ID.2`, `ID.3` and so on. */
function wordFor(store: string, replaced: readonly string[]): string {
  let word = store
  for (let time = 2; replaced.includes(word); time++) word = `${store}.${time}`
  return word
}

/**
 * Claims the checkpoints of a namespace for this store, unless another store has. The stream must exist.
 * @throws {CodedError} ERR_OTHER_STORE, ERR_CHECKPOINT_STORE
 */
export async function claimState(
  nc: NatsConnection,
  namespace: string,
  { id, replaces, isMarked = false, replaced = [] }: Claimant,
  timeoutMs = patienceMs,
): Promise<void> {
  const subject = checkpointMarkSubject(namespace)
  const attempt = async (): Promise<string> => {
    const js = jetstream(nc, { timeout: requestTimeoutMs })
    const manager = await js.jetstreamManager(false)
    for (;;) {
      const found = await markOf(manager, subject)
      const word = wordFor(found?.store ?? id, replaced)
      if (found !== undefined && (found.store === id || replaces !== word)) return found.store
      if (found === undefined && isMarked && replaces !== word)
        throw new LostError(
          `${lostText(namespace)}. To give up its state, set CONCORD_STORE_REPLACES=${word}`,
        )
      const expect = { lastSubjectSequence: found?.sequence ?? 0 }
      try {
        await js.publish(subject, JSON.stringify({ schema: 1, store: id }), { expect })
        return id
      } catch (error) {
        if (apiCode(error) !== apiCodes.wrongLastSequence) throw error // else somebody was faster (MK1)
      }
    }
  }
  const failed = (cause: unknown): Error =>
    infraError('ERR_CHECKPOINT_STORE', `Cannot ask whose checkpoints there are: ${storeReason(cause)}`, {
      cause,
    })
  const owner = await patiently({ call: attempt, timeoutMs, failed })
  if (owner !== id) throw otherStoreError(namespace, owner, id, wordFor(owner, replaced))
}

/** The namespaces whose checkpoints belong to other stores. */
export async function namespacesOfOthers(nc: NatsConnection, id: string): Promise<string[]> {
  const manager = await jetstream(nc, { timeout: requestTimeoutMs }).jetstreamManager(false)
  const { state } = await manager.streams.info(checkpointStream, {
    subjects_filter: checkpointMarkSubject('*'),
  })
  const marks = Object.keys(state.subjects ?? {}).map(async (subject) => {
    const mark = await markOf(manager, subject)
    return mark === undefined || mark.store === id ? [] : [subject.split('.')[1]!]
  })
  return (await Promise.all(marks)).flat()
}

async function markOf(
  manager: JetStreamManager,
  subject: string,
): Promise<{ readonly store: string; readonly sequence: number } | undefined> {
  const message = await readLatest(manager, checkpointStream, { last_by_subj: subject })
  if (message === null) return undefined
  const { store } = markSchema.parse(message.json())
  return { store, sequence: message.seq }
}

function otherStoreError(namespace: string, owner: string, id: string, word: string): Error {
  return infraError(
    'ERR_OTHER_STORE',
    `Cannot serve namespace '${namespace}': the state that NATS keeps of its functions belongs to the store ${owner}, and this is the store ${id}. ` +
      `Nothing was changed. Use that store (store.url), another namespace, or another NATS; if that store is gone for good, give its state up with CONCORD_STORE_REPLACES=${word}`,
  )
}
