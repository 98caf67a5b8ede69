/**
 * Gate: a gateway's request to a runner to judge a version, and the reply. JSON with `schema` first.
 * Design: docs/design/0031-replay-gate.md
 * @module
 */
import type { GateEvidence } from '../../sdk/versions/gate.ts'
import { jsonBytes, parsedJson } from '../json.ts'
import type { AssignedCode } from './messages/assignment.ts'

/** A version that has not been assigned yet. */
export interface GateAsk {
  readonly schema: 1
  /** The instance to judge it beside; it must be running. */
  readonly instance: string
  readonly next: AssignedCode
  /** By output stream: its number of partitions. */
  readonly partitions: Readonly<Record<string, number>>
  readonly limitMs: number
}

export type GateAnswer =
  | { readonly ok: true; readonly evidence: GateEvidence }
  /** Nothing was judged. */
  | { readonly ok: false; readonly message: string }

export function encodeGate(message: GateAsk | GateAnswer): Uint8Array {
  return jsonBytes(message)
}

/** @returns Undefined if this build cannot read it. */
export function decodeGateAsk(bytes: Uint8Array): GateAsk | undefined {
  const ask = parsedJson(bytes) as Partial<GateAsk> | null | undefined
  const isWhole = ask?.schema === 1 && typeof ask.instance === 'string' && typeof ask.next === 'object'
  return isWhole ? (ask as GateAsk) : undefined
}

export function decodeGateAnswer(bytes: Uint8Array): GateAnswer {
  const answer = parsedJson(bytes) as Partial<GateAnswer> | null | undefined
  if (typeof answer?.ok === 'boolean') return answer as GateAnswer
  return { ok: false, message: 'its runner answers what this build cannot read' }
}
