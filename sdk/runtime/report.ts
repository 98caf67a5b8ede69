/**
 * Report: an error made into plain text where it was thrown.
 *
 * A thrown value may be anything: an object whose `message` is a getter that never returns, a Proxy, nothing at all.
 * So it is read here, under the time limit of the callback that threw it, and only capped text goes on.
 * @module
 */
import { reportBytesMax } from './layout.ts'
import { toJson } from './primordials.ts'
import { utf8Length } from './utf8.ts'

const nameMax = 128
const messageMax = 2048
const stackMax = 6144
/** Caps at which the text fits `reportBytesMax` even if each character is escaped in six. */
const tightMax = 1024

/** What is known of a thrown value, as JSON of `{ name, message, stack, code? }`; at most `reportBytesMax` bytes. */
export function reportOf(thrown: unknown): string {
  try {
    const json = render(thrown, messageMax, stackMax)
    if (json.length * 3 <= reportBytesMax) return json // UTF-8 takes at most three bytes a code unit
    return utf8Length(json) <= reportBytesMax ? json : render(thrown, tightMax, tightMax)
  } catch {
    return '{}' // a `toJSON` of the author's making, or a stack that is used up
  }
}

function render(thrown: unknown, messageLength: number, stackLength: number): string {
  return toJson({
    name: field(thrown, 'name', nameMax) ?? 'Error',
    message: field(thrown, 'message', messageLength) ?? describe(thrown, messageLength),
    stack: field(thrown, 'stack', stackLength) ?? '',
    code: field(thrown, 'code', nameMax),
  })
}

function field(thrown: unknown, name: string, most: number): string | undefined {
  if ((typeof thrown !== 'object' || thrown === null) && typeof thrown !== 'function') return undefined
  try {
    const value: unknown = (thrown as Record<string, unknown>)[name]
    return typeof value === 'string' ? value.slice(0, most) : undefined
  } catch {
    return undefined
  }
}

function describe(thrown: unknown, most: number): string {
  try {
    return `${thrown === null ? 'null' : typeof thrown} was thrown: ${String(thrown)}`.slice(0, most)
  } catch {
    return `${typeof thrown} was thrown`
  }
}
