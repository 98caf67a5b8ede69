/** The codes of errors that the in-isolate runtime throws into a callback, and who can fix each. */
import { type Blame, CodedError } from '../errors.ts'

export const runtimeErrors = {
  /** The default export is not valid for `defineFunction`. */
  ERR_DEFINITION: 'function',
  /** A context or record was used outside its callback. */
  ERR_CALLBACK_OVER: 'function',
  /** `produceRecord` to a stream that is not among the function's ostreams. */
  ERR_STREAM_UNKNOWN: 'function',
  /** `produceRecord` to a partition that the stream does not have. */
  ERR_PARTITION_UNKNOWN: 'function',
  /** One callback produced more than `limits.outputBytesPerRecord`. */
  ERR_OUTPUT_TOO_LARGE: 'function',
  /** A metric has a malformed name or another kind than before, or there are too many metrics. */
  ERR_METRIC: 'function',
  /** `ctx.asset` of a name that the version does not have. */
  ERR_ASSET_MISSING: 'function',
  /** An argument has the wrong type. */
  ERR_ARGUMENT: 'function',
  /** An isolate's shared memory cannot be read. */
  ERR_OUTCOME_MALFORMED: 'platform',
} as const satisfies Record<string, Blame>
export type RuntimeErrorCode = keyof typeof runtimeErrors

export function runtimeError(code: RuntimeErrorCode, message: string): CodedError<RuntimeErrorCode> {
  return new CodedError(code, message)
}

/** The error of an argument that is neither bytes nor text. */
export function notData(attempted: string, what: string, found: unknown): Error {
  const is = found === null ? 'null' : typeof found
  return runtimeError(
    'ERR_ARGUMENT',
    `Cannot ${attempted}: its ${what} is ${is}, expected a Uint8Array or a string`,
  )
}
