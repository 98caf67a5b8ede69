/**
 * CodedError: the one shape of an error that somebody is meant to act on.
 *
 * Every folder keeps a closed set of codes in its own `errors.ts` and says for each who can fix it; callers match
 * on `code`, never on the text. An error crosses a process or isolate boundary as `{ code, message }`.
 * @module
 */

/** Who can fix it: the function's author, whoever called us, time (so retry), or us. */
export type Blame = 'function' | 'caller' | 'transient' | 'platform'

/**
 * An error with a code from a closed set and a message that says what was attempted, what was found and what to do.
 * @typeParam Code The folder's closed set of codes.
 */
export class CodedError<Code extends string = string> extends Error {
  readonly code: Code
  /** Details as plain data, which may cross a process boundary. */
  readonly detail: Readonly<Record<string, unknown>>

  constructor(
    code: Code,
    message: string,
    options: { readonly cause?: unknown; readonly detail?: Readonly<Record<string, unknown>> } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = code // what is shown before the message, where that is all that is shown
    this.code = code
    this.detail = options.detail ?? {}
  }
}

/** The codes of the sdk's top level; each layer has its own. */
export const sdkErrors = {
  /** The bytes are not a frame. */
  ERR_FRAME_MALFORMED: 'platform',
  /** The frame has a version that this build cannot read. */
  ERR_FRAME_VERSION: 'platform',
  /** A record's key or value is larger than a frame can carry. */
  ERR_RECORD_TOO_LARGE: 'caller',
  /** A folder that was named cannot be made. */
  ERR_FOLDER: 'caller',
} as const satisfies Record<string, Blame>

/** Whether an error is a CodedError with one of these codes. */
export function isCode<Code extends string>(
  error: unknown,
  ...codes: readonly Code[]
): error is CodedError<Code> {
  return error instanceof CodedError && (codes as readonly string[]).includes(error.code)
}

/**
 * What is said of an error that is no CodedError. What the system refuses (no space, no permission) is said as it is; all
 * else is a fault in Concord, and whoever reads of it can only report it.
 */
export function unforeseenText(error: unknown): string {
  const { name, message } = error instanceof Error ? error : { name: 'thrown', message: String(error) }
  if (error instanceof Error && 'syscall' in error) return `${message} (--verbose shows where)`
  return `${name}: ${message}. This is a fault in Concord, not yours: please report it, with what --verbose shows`
}

/** Marks a branch that the types say cannot be reached. */
export function assertNever(value: never): never {
  throw new Error(`unreachable: ${JSON.stringify(value)}`)
}
