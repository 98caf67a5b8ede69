/**
 * Errors of the command line, and the exit code of every error that it can meet.
 * @module
 */
import { isAbsent } from '../client/http.ts'
import { type ClientErrorCode, ProduceError, RefusedError } from '../client/index.ts'
import { type Blame, CodedError, isCode, unforeseenText } from '../errors.ts'

export const cliErrors = {
  ERR_USAGE: 'caller', // the command line is invalid
  ERR_SERVER_UNKNOWN: 'caller', // no URL was given, and no `concord up` has left one
  ERR_FILE_MISSING: 'caller', // a file or folder that was named is not there or cannot be read
  ERR_FILE_EXISTS: 'caller', // something would be overwritten
  ERR_RECORD_INVALID: 'caller', // a line to be sent is not the record that the options promise
  ERR_PROJECT_INVALID: 'function', // concord.jsonc or config.json is invalid
  ERR_BUNDLE_FAILED: 'function', // the function's source does not compile, or imports what functions cannot have
  ERR_FUNCTION_FAILED: 'function', // deployed, but its own code keeps it from running
  ERR_GATE_HOLDS: 'function', // the gate stops the version, by its results on recent records
  ERR_FUNCTION_NOT_RUNNING: 'platform', // deployed, but it ends for a reason outside its code
  ERR_SUPERSEDED: 'caller', // a newer version was deployed while this one was waited for
  ERR_WAIT_TIMED_OUT: 'transient', // what was waited for did not happen in time
  ERR_TAP_FILE: 'caller', // a file is not a tap, or lacks what a replay needs
  ERR_LOAD_FILE: 'caller', // a file is not a recorded load
  ERR_STREAM_ENDED: 'transient', // the server ended a followed stream before the reader had all it asked for
  ERR_PLATFORM_MISSING: 'caller', // this installation is the command line alone, without the platform
  ERR_PLATFORM_FAILED: 'platform', // the platform did not start or stop; its own message says why
  ERR_NODE_TOO_OLD: 'caller', // no Node was found that runs TypeScript
} as const satisfies Record<string, Blame>
export type CliErrorCode = keyof typeof cliErrors

export const exitCodes = {
  ok: 0,
  failed: 1,
  usage: 2,
  notAllowed: 3,
  notFound: 4,
  conflict: 5,
  rejected: 6,
  timedOut: 7,
  unreachable: 8,
} as const
type ExitCode = (typeof exitCodes)[keyof typeof exitCodes]

/** What each exit code means, for the reference. */
export const exitCodeMeanings: Readonly<Record<ExitCode, string>> = {
  0: 'done',
  1: 'failed',
  2: 'invalid command line',
  3: 'not allowed: no token, or the wrong one',
  4: 'not found',
  5: 'conflict with the current state',
  6: 'function, configuration or record rejected',
  7: 'timed out',
  8: 'server unreachable',
}

const exitByCode: Readonly<Record<CliErrorCode | ClientErrorCode, ExitCode>> = {
  ERR_USAGE: exitCodes.usage,
  ERR_SERVER_UNKNOWN: exitCodes.unreachable,
  ERR_FILE_MISSING: exitCodes.notFound,
  ERR_FILE_EXISTS: exitCodes.conflict,
  ERR_RECORD_INVALID: exitCodes.rejected,
  ERR_LOAD_FILE: exitCodes.usage,
  ERR_PROJECT_INVALID: exitCodes.rejected,
  ERR_BUNDLE_FAILED: exitCodes.rejected,
  ERR_TAP_FILE: exitCodes.failed,
  ERR_FUNCTION_FAILED: exitCodes.rejected,
  ERR_GATE_HOLDS: exitCodes.rejected,
  ERR_FUNCTION_NOT_RUNNING: exitCodes.failed,
  ERR_SUPERSEDED: exitCodes.conflict,
  ERR_WAIT_TIMED_OUT: exitCodes.timedOut,
  ERR_STREAM_ENDED: exitCodes.failed,
  ERR_PLATFORM_MISSING: exitCodes.failed,
  ERR_PLATFORM_FAILED: exitCodes.failed,
  ERR_NODE_TOO_OLD: exitCodes.failed,
  ERR_SERVER_UNREACHABLE: exitCodes.unreachable,
  ERR_CONNECTION_LOST: exitCodes.unreachable,
  ERR_TIMED_OUT: exitCodes.timedOut,
  ERR_ANSWER_MALFORMED: exitCodes.failed,
  ERR_REFUSED: exitCodes.failed,
}

const exitByStatus: Readonly<Record<number, ExitCode>> = {
  400: exitCodes.rejected,
  401: exitCodes.notAllowed,
  403: exitCodes.notAllowed,
  404: exitCodes.notFound,
  408: exitCodes.timedOut,
  409: exitCodes.conflict,
  412: exitCodes.conflict,
  413: exitCodes.rejected,
  415: exitCodes.rejected,
  422: exitCodes.rejected,
  429: exitCodes.timedOut,
  502: exitCodes.unreachable,
  504: exitCodes.timedOut,
}

export function exitCodeOf(error: unknown): ExitCode {
  if (error instanceof ProduceError) return exitCodeOf(error.cause)
  if (error instanceof RefusedError) return exitByStatus[error.status] ?? exitCodes.failed
  if (isCode(error, 'ERR_PLATFORM_FAILED' satisfies CliErrorCode)) return exitOfPlatform(error)
  if (error instanceof CodedError) return exitByCode[error.code as CliErrorCode] ?? exitCodes.failed
  return exitCodes.failed
}

/** The exit code of a platform script is also ours (infra/local/command.ts), unless the script was killed. */
function exitOfPlatform({ detail: { exitCode } }: CodedError): ExitCode {
  return (
    Object.values(exitCodes).find((code) => code !== exitCodes.ok && code === exitCode) ?? exitCodes.failed
  )
}

/** The error as one line that says what to do. */
export function errorLine(error: unknown): string {
  const message = error instanceof CodedError ? error.message : `Cannot finish: ${unforeseenText(error)}`
  const line = message.trim().replaceAll(/\s*\n\s*/g, ' ')
  const advice = hint(error)
  return advice === '' ? line : `${line.replace(/\.$/, '')}${advice}`
}

function hint(error: unknown): string {
  if (error instanceof ProduceError) {
    const { accepted, unknown } = error
    const known = [
      ...(accepted === 0 ? [] : [`${accepted} ${accepted === 1 ? 'record was' : 'records were'} accepted`]),
      ...(unknown === 0 ? [] : [`${unknown} are unknown`]),
    ]
    return `${hint(error.cause)}${known.length === 0 ? '' : ` (${known.join(', ')})`}`
  }
  if (error instanceof RefusedError && error.status === 401) {
    return "; give the server's token with --token-file, or in CONCORD_TOKEN"
  }
  if (isAbsent(error)) {
    return "; start one with 'concord up', or say where it is with --url"
  }
  return ''
}

/** All that is known about the error, for `--verbose`. */
export function errorDetail(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const lines = [error.stack ?? error.message]
  if (error instanceof CodedError)
    lines.push(`code: ${error.code}`, `detail: ${JSON.stringify(error.detail)}`)
  if (error instanceof RefusedError)
    lines.push(`answer: ${error.status} ${JSON.stringify(error.problem ?? null)}`)
  if (error.cause !== undefined) lines.push(`caused by: ${errorDetail(error.cause)}`)
  return lines.join('\n')
}
