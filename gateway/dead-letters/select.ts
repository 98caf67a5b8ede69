/**
 * Select: which letters match a request, and how the API shows them. Pure.
 * @module
 */
import { isUtf8 } from 'node:buffer'
import type { Letter } from '../../infra/dead-letters/index.ts'
import type { DeadLetter, DeadLetterFilter, DeadLetterSummary } from '../../sdk/api/index.ts'
import { refuse } from '../errors.ts'
import type { LetterMessage } from './letter-store.ts'
import type { Mark } from './marks.ts'

/** Where a letter is: the message's sequence and its index there. */
export interface LetterPlace {
  readonly sequence: number
  readonly index: number
}

export function idOf({ sequence, index }: LetterPlace): string {
  return `${sequence}-${index}`
}

/** @throws {CodedError} ERR_REQUEST_INVALID */
export function placeOf(id: string): LetterPlace {
  const found = /^(\d{1,15})-(\d{1,5})$/.exec(id)
  if (found !== null) return { sequence: Number(found[1]), index: Number(found[2]) }
  throw refuse(
    'ERR_REQUEST_INVALID',
    `Cannot find a dead letter by '${id}': expected an id as in 12-0. \`concord dlq ls\` lists those there are.`,
  )
}

/** Whether `place` comes after `after`, in the order of the letters. */
export function isBehind({ sequence, index }: LetterPlace, after: LetterPlace | undefined): boolean {
  if (after === undefined || sequence > after.sequence) return true
  return sequence === after.sequence && index > after.index
}

/** Text if the bytes are UTF-8, else base64, as records are shown elsewhere. */
function bytesAs(name: 'key' | 'value', bytes: Uint8Array): Record<string, string> {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
  if (isUtf8(bytes)) return { [name]: buffer.toString('utf8') }
  return { [`${name}Base64`]: buffer.toString('base64') }
}

export function matches(
  filter: DeadLetterFilter,
  { function: name }: LetterMessage,
  letter: Letter,
): boolean {
  const { error, failedAtMs, record } = letter
  if (filter.function !== undefined && filter.function !== name) return false
  if (filter.sinceMs !== undefined && failedAtMs < filter.sinceMs) return false
  if (filter.untilMs !== undefined && failedAtMs >= filter.untilMs) return false
  if (filter.error !== undefined && !`${error.name}: ${error.message}`.includes(filter.error)) return false
  return filter.key === undefined || Buffer.from(filter.key).equals(record.key)
}

export function summaryOf(
  message: LetterMessage,
  index: number,
  letter: Letter,
  mark: Mark | undefined,
): DeadLetterSummary {
  const { stream, partition, producer, sequence, attempts, failedAtMs, record, error, timer } = letter
  const { name, message: text, at } = error
  return {
    id: idOf({ sequence: message.sequence, index }),
    function: message.function,
    version: message.version,
    ...(timer && { timer: true as const }),
    ...{ stream, partition, producer, sequence, attempts, failedAtMs },
    timeMs: record.timeMs,
    ...bytesAs('key', record.key),
    valueBytes: record.value.length,
    error: { name, message: text, ...(at === undefined ? {} : { at }) },
    state: mark?.state ?? 'waiting',
    ...(mark === undefined ? {} : { markedAtMs: mark.atMs }),
  }
}

export function detailOf(
  message: LetterMessage,
  index: number,
  letter: Letter,
  mark: Mark | undefined,
): DeadLetter {
  const summary = summaryOf(message, index, letter, mark)
  return {
    ...summary,
    ...bytesAs('value', letter.record.value),
    error: { ...summary.error, stack: letter.error.stack },
  }
}
