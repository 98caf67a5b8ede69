/**
 * DeadLetter: a record whose callback failed for good, as it is put into `FUNCTION-dead` for a person or a redrive.
 *
 * Layout, version 1: JSON. `value` where the bytes are UTF-8 text, else `valueBase64`; `valueBytes` is there only if it was
 * cut, and says how many there were. Likewise the key.
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

/** Beyond these a letter holds the beginning only: JSON may take six bytes for one, and a frame has to hold it. */
const valueBytesMax = 96 * 1024
const keyBytesMax = 1024

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
    ...bytesAs('key', record.key, keyBytesMax),
    ...bytesAs('value', record.value, valueBytesMax),
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

function bytesAs(name: string, bytes: Uint8Array, bytesMax: number): Record<string, string | number> {
  const kept = bytes.subarray(0, bytesMax)
  const cut = kept.length < bytes.length ? { [`${name}Bytes`]: bytes.length } : {}
  try {
    return { [name]: text.decode(kept), ...cut }
  } catch {
    return { [`${name}Base64`]: Buffer.from(kept).toString('base64'), ...cut }
  }
}
