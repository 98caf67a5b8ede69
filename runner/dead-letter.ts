/**
 * DeadLetter: a record whose callback failed for good, as it is put into `FUNCTION-dead` for a person or a redrive.
 *
 * Layout, version 1: JSON. `value` where the bytes are UTF-8 text, else `valueBase64`; likewise the key.
 * @module
 */

import type { ErrorReport } from '../infra/control/messages.ts'
import type { RawRecord } from '../sdk/frame.ts'

export interface DeadLetterOrigin {
  readonly function: string
  readonly version: number
  readonly stream: string
  readonly partition: number
  readonly producer: string
  readonly sequence: number
}

const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** The dead letter as a record: the key of the one that failed, its event time, and the letter as value. */
export function deadLetter(
  record: RawRecord,
  origin: DeadLetterOrigin,
  error: ErrorReport,
  attempts: number,
): RawRecord {
  const letter = {
    schema: 1,
    ...origin,
    timeMs: record.timeMs,
    ...bytesAs('key', record.key),
    ...bytesAs('value', record.value),
    error: {
      name: error.name,
      message: error.message,
      stack: error.stack,
      ...(error.at === undefined ? {} : { at: error.at }),
    },
    attempts,
    failedAtMs: error.timeMs,
  }
  return { key: record.key, value: new TextEncoder().encode(JSON.stringify(letter)), timeMs: record.timeMs }
}

function bytesAs(name: string, bytes: Uint8Array): Record<string, string> {
  try {
    return { [name]: text.decode(bytes) }
  } catch {
    return { [`${name}Base64`]: Buffer.from(bytes).toString('base64') }
  }
}
