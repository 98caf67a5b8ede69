/**
 * CheckpointStore: the parts and manifests of a function's checkpoints, in the JetStream stream `concord-checkpoints`.
 *
 * Invariants:
 *  C1. Compare-and-set: a manifest replaces the one that its writer has read, or none; otherwise the write is refused.
 *  C2. When `putPart` or `writeManifest` has resolved, the server has acknowledged the message.
 *  C3. Every call ends within its time limit, whatever the store does.
 *  C4. `readManifest` resolves to undefined only if the namespace has its mark, which is older than any manifest (mark.ts). So
 *      an empty copy of the stream that leads is not taken for an answer.
 * Give it a connection of its own: on a full disk JetStream freezes each connection that asks it for something.
 * Design: docs/design/0008-checkpoints.md
 * @module
 */
import { type JetStreamManager, jetstream } from '@nats-io/jetstream'
import {
  checkpointManifestSubject,
  checkpointMarkSubject,
  checkpointPartSubject,
  checkpointPartSubjects,
  checkpointSubjects,
} from '../bus/messages/subjects.ts'
import type { NatsConnection } from '../bus/wire/connect.ts'
import { infraError } from '../errors.ts'
import {
  apiCode,
  apiCodes,
  isSilence,
  LostError,
  patienceMs,
  patiently,
  readLatest,
  readMessage,
  requestTimeoutMs,
  storeReason,
} from '../jetstream.ts'
import { ensureStream, type Replicas } from '../streams.ts'
import { type CheckpointManifest, decodeManifest, encodeManifest } from './manifest.ts'
import type { SegmentId } from './part.ts'

export const checkpointStream = 'concord-checkpoints'

export interface StoredManifest {
  readonly manifest: CheckpointManifest
  /** For `writeManifest`: what it replaces. */
  readonly revision: number
}

export interface StoredPart {
  readonly message: Uint8Array
  /** For `remove`. */
  readonly sequence: number
}

export interface CheckpointStore {
  /** @throws {CodedError} ERR_CHECKPOINT_CORRUPT, ERR_CHECKPOINT_FORMAT; as all calls ERR_CHECKPOINT_STORE. */
  readManifest(slot: string): Promise<StoredManifest | undefined>
  /**
   * @param revision Of the manifest that is replaced; 0: there is none.
   * @returns Its own revision.
   * @throws {CodedError} ERR_CHECKPOINT_SUPERSEDED if another was written meanwhile.
   */
  writeManifest(slot: string, manifest: CheckpointManifest, revision: number): Promise<number>
  /** Stores a part; one with the same name is replaced. @returns Its sequence, for `remove`. */
  putPart(slot: string, segment: SegmentId, index: number, message: Uint8Array): Promise<number>
  getPart(slot: string, segment: SegmentId, index: number): Promise<StoredPart | undefined>
  /** Deletes parts by their sequences. */
  remove(sequences: readonly number[]): Promise<void>
  /** Deletes the parts of all segments of a slot but these. @returns How many. */
  removeStrays(slot: string, epoch: number, kept: readonly SegmentId[]): Promise<number>
}

/** @param timeoutMs How long a call may take; restarts of nats-server are waited for within it. */
export async function openCheckpoints(
  nc: NatsConnection,
  namespace: string,
  functionName: string,
  timeoutMs = patienceMs,
): Promise<CheckpointStore> {
  // Without the check of the API: a runner may not ask for it.
  const js = jetstream(nc, { checkAPI: false, timeout: requestTimeoutMs })
  const manager = await js.jetstreamManager(false)
  const manifestSubject = (slot: string): string => checkpointManifestSubject(namespace, functionName, slot)
  const partSubject = (slot: string, segment: SegmentId, index: number): string =>
    checkpointPartSubject(namespace, functionName, slot, segmentName(segment), index)

  const bounded = <T>(what: string, call: () => Promise<T>): Promise<T> =>
    patiently({ call, timeoutMs, failed: (cause) => storeError(what, cause) })

  async function readManifest(slot: string): Promise<StoredManifest | undefined> {
    const message = await readLatest(manager, checkpointStream, { last_by_subj: manifestSubject(slot) })
    if (message === null) {
      const mark = await readLatest(manager, checkpointStream, {
        last_by_subj: checkpointMarkSubject(namespace),
      })
      if (mark === null) throw new LostError(lostText(namespace))
      return undefined
    }
    return { manifest: decodeManifest(message.data, slot), revision: message.seq }
  }

  async function writeManifest(slot: string, bytes: Uint8Array, revision: number): Promise<number> {
    const expect = { lastSubjectSequence: revision }
    try {
      return (await js.publish(manifestSubject(slot), bytes, { expect })).seq
    } catch (error) {
      if (apiCode(error) !== apiCodes.wrongLastSequence) throw error
    }
    // Ours, if its acknowledgement was lost; else somebody else's.
    const found = await readLatest(manager, checkpointStream, { last_by_subj: manifestSubject(slot) })
    if (found !== null && Buffer.compare(found.data, bytes) === 0) return found.seq
    throw infraError(
      'ERR_CHECKPOINT_SUPERSEDED',
      `Cannot write the checkpoint of ${functionName}/${slot}: another owner has written one meanwhile`,
    )
  }

  async function getPart(slot: string, segment: SegmentId, index: number): Promise<StoredPart | undefined> {
    const last_by_subj = partSubject(slot, segment, index)
    const message = await readMessage(manager, checkpointStream, { last_by_subj })
    return message === null ? undefined : { message: message.data, sequence: message.seq }
  }

  /** Those of a newer owner are none. */
  async function removeStrays(slot: string, epoch: number, kept: readonly SegmentId[]): Promise<number> {
    const names = new Set(kept.map(segmentName))
    const subjects = await subjectsOf(manager, checkpointPartSubjects(namespace, functionName, slot))
    const isStray = (name: string): boolean => !names.has(name) && Number.parseInt(name, 10) <= epoch
    const strays = subjects.filter((subject) => isStray(subject.split('.').at(-2)!))
    await removeSubjects(manager, strays)
    return strays.length
  }

  return {
    readManifest: (slot) => bounded(`read the checkpoint of ${slot}`, () => readManifest(slot)),
    writeManifest: (slot, manifest, revision) => {
      const bytes = encodeManifest(manifest)
      return bounded(`write the checkpoint of ${slot}`, () => writeManifest(slot, bytes, revision))
    },
    putPart: (slot, segment, index, message) =>
      bounded(`store a part of the checkpoint of ${slot}`, async () => {
        return (await js.publish(partSubject(slot, segment, index), message)).seq
      }),
    getPart: (slot, segment, index) =>
      bounded(`read the checkpoint of ${slot}`, () => getPart(slot, segment, index)),
    remove: (sequences) => bounded('delete old checkpoints', () => removeMessages(manager, sequences)),
    removeStrays: (slot, epoch, kept) =>
      bounded('delete old checkpoints', () => removeStrays(slot, epoch, kept)),
  }
}

/**
 * Makes the stream that holds checkpoints, or brings its settings up to date. Only a gateway may.
 * @returns As ensureStream.
 * @throws {CodedError} ERR_CHECKPOINT_STORE
 */
export async function ensureCheckpointStream(
  nc: NatsConnection,
  replicas?: Replicas,
  timeoutMs = patienceMs,
): Promise<boolean> {
  const config = {
    name: checkpointStream,
    subjects: [checkpointSubjects('*', '*')],
    allow_direct: true,
    max_msgs_per_subject: 1,
  }
  const call = () => ensureStream(nc, config, replicas)
  const failed = (cause: unknown): Error => storeError('make the store of checkpoints', cause)
  return await patiently({ call, timeoutMs, failed })
}

/** Deletes all checkpoints of a function. @throws {CodedError} ERR_CHECKPOINT_STORE */
export async function removeCheckpoints(
  nc: NatsConnection,
  namespace: string,
  functionName: string,
  timeoutMs = 60_000,
): Promise<void> {
  const call = async (): Promise<void> => {
    const manager = await jetstream(nc, { timeout: requestTimeoutMs }).jetstreamManager(false)
    await removeSubjects(manager, await subjectsOf(manager, checkpointSubjects(namespace, functionName)))
  }
  const failed = (cause: unknown): Error => storeError(`delete the checkpoints of ${functionName}`, cause)
  await patiently({ call, timeoutMs, failed })
}

/** The functions that have checkpoints. @throws {CodedError} ERR_CHECKPOINT_STORE */
export async function functionsWithCheckpoints(
  nc: NatsConnection,
  namespace: string,
  timeoutMs = patienceMs,
): Promise<string[]> {
  const call = async (): Promise<string[]> => {
    const manager = await jetstream(nc, { timeout: requestTimeoutMs }).jetstreamManager(false)
    const subjects = await subjectsOf(manager, checkpointSubjects(namespace, '*'))
    const names = new Set(subjects.map((subject) => subject.split('.')[3]!))
    names.delete(checkpointMarkSubject(namespace).split('.')[3]!)
    return [...names].sort()
  }
  const failed = (cause: unknown): Error => storeError('list checkpoints', cause)
  return await patiently({ call, timeoutMs, failed })
}

/** Says that checkpoints are not where they were, and what may be done. */
export function lostText(namespace: string): string {
  return `of the checkpoints of namespace '${namespace}' NATS has nothing, not even the mark that its gateways write first: no gateway has reached NATS yet, or a server leads that has no copy (wait for the others), or the data of JetStream is gone`
}

function segmentName({ epoch, number }: SegmentId): string {
  return `${epoch}-${number}`
}

async function subjectsOf(manager: JetStreamManager, filter: string): Promise<string[]> {
  const info = await manager.streams
    .info(checkpointStream, { subjects_filter: filter })
    .catch((error: unknown) => {
      if (/stream not found/i.test((error as Error).message)) return undefined
      throw error
    })
  return Object.keys(info?.state.subjects ?? {})
}

/** Message by message: a purge by subject goes on counting as used in nats-server 2.9. */
async function removeSubjects(manager: JetStreamManager, subjects: readonly string[]): Promise<void> {
  await inParallel(subjects, async (subject) => {
    const message = await readLatest(manager, checkpointStream, { last_by_subj: subject })
    if (message !== null) await removeMessage(manager, message.seq)
  })
}

async function removeMessages(manager: JetStreamManager, sequences: readonly number[]): Promise<void> {
  await inParallel(sequences, (sequence) => removeMessage(manager, sequence))
}

async function removeMessage(manager: JetStreamManager, sequence: number): Promise<void> {
  await manager.streams.deleteMessage(checkpointStream, sequence, false).catch((error: unknown) => {
    if (isSilence(error)) throw error // else it is gone already
  })
}

async function inParallel<T>(items: readonly T[], act: (item: T) => Promise<void>): Promise<void> {
  const left = [...items]
  const lane = async (): Promise<void> => {
    for (let item = left.pop(); item !== undefined; item = left.pop()) await act(item)
  }
  await Promise.all(Array.from({ length: 8 }, lane))
}

function storeError(what: string, cause: unknown): Error {
  return infraError('ERR_CHECKPOINT_STORE', `Cannot ${what}: ${storeReason(cause)}`, { cause })
}
