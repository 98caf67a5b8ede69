/**
 * JetStream: calls of it that end within their time, whatever the store does; and what its refusals mean.
 * @module
 */
import { setTimeout as delay } from 'node:timers/promises'
import { CodedError } from '../sdk/errors.ts'

/** How long one request may take; a restart of nats-server loses those in flight. */
export const requestTimeoutMs = 2_000

/** Between two attempts. */
const pauseMs = 50

export const apiCodes = {
  insufficientResources: 10023,
  wrongLastSequence: 10071,
  noMessage: 10037,
  notDeleted: 10057,
}

export function apiCode(error: unknown): number | undefined {
  return (error as { code?: number }).code
}

export interface PatientCall<T> {
  readonly call: () => Promise<T>
  readonly timeoutMs: number
  /** Says what went wrong; called once. */
  readonly failed: (cause: unknown) => Error
  /** Before another attempt. */
  readonly again?: () => void
}

/**
 * Tries until the store has answered or the time is up; whatever went wrong in the store is one error. What is called
 * must do no harm when it is called again. A CodedError is thrown on at once.
 */
export async function patiently<T>({ call, timeoutMs, failed, again }: PatientCall<T>): Promise<T> {
  const deadlineMs = performance.now() + timeoutMs
  for (;;) {
    try {
      return await within(deadlineMs - performance.now(), call())
    } catch (cause) {
      if (cause instanceof CodedError) throw cause
      again?.()
      if (!isSilence(cause) || performance.now() >= deadlineMs) throw failed(cause)
      await delay(pauseMs) // 'no responders' comes back at once
    } // else nats-server may have been restarted: a request in flight is lost then
  }
}

/** True if the store said nothing: it may be back soon. */
export function isSilence(cause: unknown): boolean {
  return /timeout|no responders|no answer|jetstream is not enabled/i.test((cause as Error).message)
}

async function within<T>(timeoutMs: number, call: Promise<T>): Promise<T> {
  const late = Promise.withResolvers<never>()
  const timer = setTimeout(() => late.reject(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs)
  try {
    return await Promise.race([call, late.promise])
  } finally {
    clearTimeout(timer)
  }
}
