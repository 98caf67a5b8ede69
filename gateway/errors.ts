/**
 * What the gateway refuses, and who can fix it. The HTTP status of each is in `http/problem.ts`.
 * @module
 */
import { type Blame, CodedError } from '../sdk/errors.ts'
import type { GateReport } from '../sdk/versions/gate.ts'

export const gatewayErrors = {
  /** No token, or a wrong one. */
  ERR_UNAUTHORIZED: 'caller',
  /** No such route. */
  ERR_ROUTE_UNKNOWN: 'caller',
  /** A parameter or the form of a body is not what the OpenAPI document says. */
  ERR_REQUEST_INVALID: 'caller',
  /** A body of a kind that the route does not take. */
  ERR_MEDIA_TYPE: 'caller',
  /** A body, or a part of it, passes its limit. */
  ERR_TOO_LARGE: 'caller',
  /** There is no function of that name. */
  ERR_FUNCTION_UNKNOWN: 'caller',
  /** There is no such version of the function, or no more. */
  ERR_VERSION_UNKNOWN: 'caller',
  /** No version, or not this one, was a shadow. */
  ERR_SHADOW_UNKNOWN: 'caller',
  /** The version that runs would lose records or state to this one. */
  ERR_VERSION_INCOMPATIBLE: 'function',
  /** The gate forbids the version, by what it made of the tape. */
  ERR_GATE_BLOCKS: 'function',
  /** The gate asks whether the version is to follow, by what it made of the tape. */
  ERR_GATE_ASKS: 'function',
  /** There is no instance of that id. */
  ERR_INSTANCE_UNKNOWN: 'caller',
  /** The inputs of the function have no such partition. */
  ERR_PARTITION_UNKNOWN: 'caller',
  /** An instance has no tap to show at this moment. */
  ERR_TAP: 'transient',
  /** There is no stream of that name: make it, or deploy a function that names it. */
  ERR_STREAM_UNKNOWN: 'caller',
  /** Timers of dead letters were to be set again, and their owner has not said that they are. */
  ERR_REDRIVE: 'transient',
  /** There is no dead letter of that id, or no more. */
  ERR_DEAD_LETTER_UNKNOWN: 'caller',
  /** The partitions of a stream that exists cannot change: keys would move away from their state. */
  ERR_STREAM_PARTITIONS_FIXED: 'caller',
  /** A stream that a function or a reader uses cannot be removed. */
  ERR_STREAM_USED: 'caller',
  /** A line or a length-prefixed record of a publish that cannot be read. */
  ERR_RECORD_INVALID: 'caller',
  /** The uploaded code does not compile. */
  ERR_SOURCE_INVALID: 'function',
  /** The uploaded source map is not one of version 3. */
  ERR_SOURCE_MAP_INVALID: 'function',
  /** The uploaded code imports something that is not there. */
  ERR_IMPORT_REFUSED: 'function',
  /** The uploaded code threw while it was loaded. */
  ERR_LOAD_THREW: 'function',
  /** The uploaded code took too long to load. */
  ERR_LOAD_DEADLINE: 'function',
  /** The uploaded code took too much memory to load. */
  ERR_LOAD_MEMORY: 'function',
  /** The process that loaded the uploaded code died of it. */
  ERR_LOAD_CRASHED: 'function',
  /** The uploaded module has no default export that is an object. */
  ERR_NO_DEFAULT_EXPORT: 'function',
  /** The metadata in the code is not what `defineFunction` takes. */
  ERR_METADATA_INVALID: 'function',
  /** The manifest is not what concord.jsonc's schema says. */
  ERR_MANIFEST_INVALID: 'function',
  /** The manifest says something else than the code's metadata. */
  ERR_MANIFEST_CONTRADICTS: 'function',
  /** An input of a function that is there cannot change between a queue of its own and none. */
  ERR_BACK_PRESSURE_FIXED: 'function',
  /** The number of instances is to be left to a policy that the function has not. */
  ERR_NO_POLICY: 'caller',
  /** groupBy inputs of one function with different numbers of partitions. */
  ERR_PARTITIONS_DIFFER: 'caller',
  /** The deploy would close a cycle of functions whose inputs all block. */
  ERR_CYCLE_BLOCKS: 'caller',
  /** The function is being deleted. */
  ERR_FUNCTION_DELETING: 'transient',
  /** The stream takes no more for now: its consumers are behind. */
  ERR_STREAM_FULL: 'transient',
  /** Too many deploys or readers at once. */
  ERR_BUSY: 'transient',
  /** The gateway is stopping. */
  ERR_CLOSING: 'transient',
  /** A holding reader did not become known to every producer in time. */
  ERR_FOLLOW_NOT_READY: 'transient',
  /** There is no asset of that name, or no content of that hash. */
  ERR_ASSET_UNKNOWN: 'caller',
  /** A version would lack an asset that its manifest names. */
  ERR_ASSET_NEEDED: 'caller',
  /** No room for the bundle. */
  ERR_STORAGE_FULL: 'platform',
  /** NATS or the store does not answer. */
  ERR_BACKEND: 'transient',
  /** The port is in use. */
  ERR_GATEWAY_PORT_TAKEN: 'caller',
  /** The gateway cannot start with its configuration: the token's file is missing or wrong. */
  ERR_GATEWAY_CONFIGURATION: 'caller',
  /** A bug of ours. */
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
