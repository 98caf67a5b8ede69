/**
 * JetStream: calls that end within their time limit, whatever the store does, and the meaning of its refusals.
 * @module
 */
import { setTimeout as delay } from 'node:timers/promises'
import type { DirectMsgRequest, JetStreamManager, MsgRequest, StoredMsg } from '@nats-io/jetstream'
import { CodedError } from '../sdk/errors.ts'

/** How long one request may take; a restart of nats-server loses those in flight. */
export const requestTimeoutMs = 2_000

/** How long a call is repeated: a cluster takes up to ten seconds to elect another leader. */
export const patienceMs = 20_000

/** Between two attempts. */
const pauseMs = 50

export const apiCodes = {
  insufficientResources: 10023,
  /** More copies are wanted than there are servers at hand. */
  noPeers: 10005,
  /** Fewer than half of the servers are there, or they are electing one. */
  noQuorum: 10008,
  noStream: 10059,
  wrongLastSequence: 10071,
  noMessage: 10037,
  notDeleted: 10057,
  sequenceNotFound: 10043,
}

export function apiCode(error: unknown): number | undefined {
  return (error as { code?: number }).code
}

/** What answers lacks what was stored before anything else: a copy that is empty leads, or all of it is gone. */
export class LostError extends Error {}

class LateError extends Error {}

export interface PatientCall<T> {
  readonly call: () => Promise<T>
  readonly timeoutMs: number
  /** Makes the error to throw; called once. */
  readonly failed: (cause: unknown) => Error
  /** Before another attempt. */
  readonly again?: () => void
}

/**
 * Repeats a call until the store answers or the time is up; then any failure of the store is one error. The call must
 * be harmless when repeated. A CodedError is rethrown at once.
 */
export async function patiently<T>({ call, timeoutMs, failed, again }: PatientCall<T>): Promise<T> {
  const deadlineMs = performance.now() + timeoutMs
  for (let before: unknown; ; ) {
    try {
      return await within(deadlineMs - performance.now(), call())
    } catch (error) {
      if (error instanceof CodedError) throw error
      again?.()
      const cause = error instanceof LateError ? (before ?? error) : error // the last attempt had less time than the others
      if (!isSilence(cause) || performance.now() >= deadlineMs) throw failed(cause)
      before = cause
      await delay(pauseMs) // 'no responders' comes back at once
    } // otherwise nats-server may have been restarted, and the request was lost
  }
}

/** Whether the store did not answer, or said that it cannot at the moment: it may be back soon. */
export function isSilence(cause: unknown): boolean {
  if (apiCode(cause) === apiCodes.noQuorum || cause instanceof LostError) return true
  return /timeout|no responders|no answer|jetstream is not enabled/i.test((cause as Error).message)
}

/** Why the store refused, and what can be done. */
export function storeReason(cause: unknown, store = 'the store'): string {
  const text = (cause as Error).message
  if (apiCode(cause) === apiCodes.insufficientResources)
    return 'the disk of nats-server is full: make room for it'
  if (apiCode(cause) === apiCodes.noQuorum)
    return `${store} has no quorum (${text}): more than half of the NATS servers must be up; records of which nothing must be stored go on`
  if (cause instanceof LostError) return text
  if (isSilence(cause))
    return `${store} does not answer (${text}): is nats-server up, more than half of them where there are several, and is there room on its disk?`
  return `${store} refused (${text})`
}

/** Reads a message that is never replaced. Any server with a copy may answer; one without it is not believed. */
export async function readMessage(
  manager: JetStreamManager,
  stream: string,
  query: DirectMsgRequest,
): Promise<StoredMsg | null> {
  return (await manager.direct.getMessage(stream, query)) ?? (await readLatest(manager, stream, query))
}

/** Reads a message from the leader of its stream: earlier writes and deletions are visible. */
export function readLatest(
  manager: JetStreamManager,
  stream: string,
  query: DirectMsgRequest,
): Promise<StoredMsg | null> {
  // The server answers all queries of a direct get; the client's types name two of them.
  return manager.streams.getMessage(stream, query as MsgRequest)
}

/**
 * Looks for a message that was sent and not answered, at the leader of its stream. JetStream recognises one that is sent again by its
 * id, but only for the stream's duplicate window: two minutes by default, and an outage may take longer.
 * @param after A sequence that was given before it was first sent.
 * @returns Its sequence; undefined if it was not stored.
 */
export async function findSent(
  manager: JetStreamManager,
  stream: string,
  { subject, msgID, after }: { readonly subject: string; readonly msgID: string; readonly after: number },
): Promise<number | undefined> {
  for (let seq = after + 1; ; ) {
    const found = await readLatest(manager, stream, { seq, next_by_subj: subject })
    if (found === null || found.header.get('Nats-Msg-Id') === msgID) return found?.seq
    seq = found.seq + 1
  }
}

async function within<T>(timeoutMs: number, call: Promise<T>): Promise<T> {
  const late = Promise.withResolvers<never>()
  const timer = setTimeout(() => late.reject(new LateError(`no answer within ${timeoutMs} ms`)), timeoutMs)
  try {
    return await Promise.race([call, late.promise])
  } finally {
    clearTimeout(timer)
  }
}
