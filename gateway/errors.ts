/**
 * What the gateway refuses, and who can fix it. The HTTP status of each is in `http/problem.ts`.
 * @module
 */
import { type Blame, CodedError } from '../sdk/errors.ts'
import { nearest } from '../sdk/nearest.ts'
import type { GateReport } from '../sdk/versions/gate.ts'

export const gatewayErrors = {
  /** No token, or a wrong one. */
  ERR_UNAUTHORIZED: 'caller',
  /** No such route. */
  ERR_ROUTE_UNKNOWN: 'caller',
  /** A parameter or the body does not match the OpenAPI document. */
  ERR_REQUEST_INVALID: 'caller',
  /** The route does not accept this content type. */
  ERR_MEDIA_TYPE: 'caller',
  /** The body, or a part of it, is too large; the message names the limit. */
  ERR_TOO_LARGE: 'caller',
  /** No function has that name. */
  ERR_FUNCTION_UNKNOWN: 'caller',
  /** Records that were accepted would be given up with their function. */
  ERR_RECORDS_IN_FLIGHT: 'caller',
  /** The function has no such version, or no longer has it. */
  ERR_VERSION_UNKNOWN: 'caller',
  /** This version was no shadow, or the function never had one. */
  ERR_SHADOW_UNKNOWN: 'caller',
  /** The new version would lose records or state of the running one. */
  ERR_VERSION_INCOMPATIBLE: 'function',
  /** The gate stops the version because of its results on recent records. */
  ERR_GATE_BLOCKS: 'function',
  /** The gate asks for confirmation because of the version's results on recent records. */
  ERR_GATE_ASKS: 'function',
  /** No instance has that id. */
  ERR_INSTANCE_UNKNOWN: 'caller',
  /** The function's inputs have no such partition. */
  ERR_PARTITION_UNKNOWN: 'caller',
  /** The instance has no tap at this moment. */
  ERR_TAP: 'transient',
  /** No instance could be asked about the state of the function. */
  ERR_STATE_UNREAD: 'transient',
  /** No stream has that name: create it, or deploy a function that names it. */
  ERR_STREAM_UNKNOWN: 'caller',
  /** Timers of dead letters were not confirmed as set again by the instance that owns them. */
  ERR_REDRIVE: 'transient',
  /** No dead letter has that id, or it is gone. */
  ERR_DEAD_LETTER_UNKNOWN: 'caller',
  /** The partitions of a stream that exists cannot change: keys would move away from their state. */
  ERR_STREAM_PARTITIONS_FIXED: 'caller',
  /** A stream that a function or a reader uses cannot be removed. */
  ERR_STREAM_USED: 'caller',
  /** A line or a length-prefixed record of a publish cannot be read. */
  ERR_RECORD_INVALID: 'caller',
  /** The uploaded code does not compile. */
  ERR_SOURCE_INVALID: 'function',
  /** The uploaded source map does not have version 3. */
  ERR_SOURCE_MAP_INVALID: 'function',
  /** The uploaded code imports something that does not exist. */
  ERR_IMPORT_REFUSED: 'function',
  /** The uploaded code threw while it was loaded. */
  ERR_LOAD_THREW: 'function',
  /** The uploaded code took too long to load. */
  ERR_LOAD_DEADLINE: 'function',
  /** The uploaded code took too much memory to load. */
  ERR_LOAD_MEMORY: 'function',
  /** The uploaded code crashed the process that loaded it. */
  ERR_LOAD_CRASHED: 'function',
  /** The uploaded module has no default export that is an object. */
  ERR_NO_DEFAULT_EXPORT: 'function',
  /** The metadata in the code is not valid for `defineFunction`. */
  ERR_METADATA_INVALID: 'function',
  /** The manifest does not match the schema of concord.jsonc. */
  ERR_MANIFEST_INVALID: 'function',
  /** The manifest contradicts the code's metadata. */
  ERR_MANIFEST_CONTRADICTS: 'function',
  /** An input of a deployed function cannot change between a mode with a queue and one without. */
  ERR_BACK_PRESSURE_FIXED: 'function',
  /** The function has no scaling policy that could choose the number of instances. */
  ERR_NO_POLICY: 'caller',
  /** The inputs have fewer partitions than this, and one instance owns each: the others would get no record. */
  ERR_TOO_MANY_INSTANCES: 'caller',
  /** The function's groupBy inputs have different numbers of partitions. */
  ERR_PARTITIONS_DIFFER: 'caller',
  /** The deploy would close a cycle of functions whose inputs all block. */
  ERR_CYCLE_BLOCKS: 'caller',
  /** The function is being deleted. */
  ERR_FUNCTION_DELETING: 'transient',
  /** The stream is full: its consumers are behind. */
  ERR_STREAM_FULL: 'transient',
  /** Too many deploys or readers at once. */
  ERR_BUSY: 'transient',
  /** The gateway is stopping. */
  ERR_CLOSING: 'transient',
  /** Not every producer learned of a holding reader in time. */
  ERR_FOLLOW_NOT_READY: 'transient',
  /** No asset has that name, or no content has that hash. */
  ERR_ASSET_UNKNOWN: 'caller',
  /** A version would lack an asset that its manifest names. */
  ERR_ASSET_NEEDED: 'caller',
  /** The store has no room for the bundle or asset. */
  ERR_STORAGE_FULL: 'platform',
  /** NATS or the store does not answer. */
  ERR_BACKEND: 'transient',
  /** The port is in use. */
  ERR_GATEWAY_PORT_TAKEN: 'caller',
  /** The gateway cannot start with its configuration: the token's file is missing or wrong. */
  ERR_GATEWAY_CONFIGURATION: 'caller',
  /** A bug in Concord. */
  ERR_INTERNAL: 'platform',
} as const satisfies Record<string, Blame>
export type GatewayErrorCode = keyof typeof gatewayErrors

/** Where in the uploaded source, as in a problem's `location`. */
export interface Location {
  readonly file: string
  /** From 1. */
  readonly line: number
  /** From 1. */
  readonly column: number
}

/** What a refusal carries beside its code and message; it goes into the answer. */
export interface RefusalDetail {
  readonly location?: Location
  /** Records of a publish that were taken before it was refused. */
  readonly accepted?: number
  readonly retryAfterSeconds?: number
  readonly gate?: GateReport
}

export function refuse(
  code: GatewayErrorCode,
  message: string,
  detail: RefusalDetail = {},
): CodedError<GatewayErrorCode> {
  return new CodedError(code, message, { detail: { ...detail } })
}

/** @param known What there is by name, if the caller has it at hand: a near name may be the one that was meant. */
export function unknownFunction(name: string, known?: ReadonlyMap<string, unknown>): Error {
  return refuse(
    'ERR_FUNCTION_UNKNOWN',
    `There is no function '${name}'.${didYouMean(name, known)} \`concord fn ls\` shows those there are.`,
  )
}

/** @param known As of `unknownFunction`. @param advice For whoever does not want it created. */
export function unknownStream(
  name: string,
  known?: ReadonlyMap<string, unknown>,
  advice = `Create it by \`concord stream create ${name}\`, or deploy a function that names it.`,
): Error {
  return refuse('ERR_STREAM_UNKNOWN', `There is no stream '${name}'.${didYouMean(name, known)} ${advice}`)
}

function didYouMean(name: string, known: ReadonlyMap<string, unknown> = new Map()): string {
  const near = nearest(name, [...known.keys()])
  return near === undefined ? '' : ` Did you mean '${near}'?`
}
