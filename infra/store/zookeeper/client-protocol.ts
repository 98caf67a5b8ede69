/**
 * ClientProtocol: the messages between a session and its client process.
 * @module
 */

/** The calls of the native client that we use, with what they take before the callback. */
export interface ClientCalls {
  add_auth: [scheme: string, auth: string]
  a_create: [path: string, data: Uint8Array, flags: number]
  a_exists: [path: string, watch: boolean]
  a_get: [path: string, watch: boolean]
  a_get_children2: [path: string, watch: boolean]
  a_set: [path: string, data: Uint8Array, version: number]
  a_set_acl: [path: string, aversion: number, acl: readonly AclEntry[]]
  a_delete_: [path: string, version: number]
}
export type ClientMethod = keyof ClientCalls

export type ToClient =
  | { readonly kind: 'open'; readonly module: string; readonly connect: string; readonly timeoutMs: number }
  | {
      readonly kind: 'call'
      readonly id: number
      readonly method: ClientMethod
      readonly args: readonly unknown[]
    }
  /** The event loop of the session's process is alive. */
  | { readonly kind: 'beat' }
  | { readonly kind: 'close' }

export type NodeEvent = 'created' | 'deleted' | 'changed' | 'child'

export type FromClient =
  | { readonly kind: 'up'; readonly timeoutMs: number }
  | { readonly kind: 'down' }
  /** The client's event loop is alive. */
  | { readonly kind: 'beat' }
  | {
      readonly kind: 'answer'
      readonly id: number
      readonly rc: number
      readonly text: string
      readonly results: readonly unknown[]
    }
  | { readonly kind: 'event'; readonly event: NodeEvent; readonly path: string }
  /** The native client cannot be loaded. */
  | { readonly kind: 'unusable'; readonly why: string }
  | { readonly kind: 'ended' }

/** Return codes of ZooKeeper's C client. */
export const codes = {
  ok: 0,
  connectionLoss: -4,
  operationTimeout: -7,
  invalidState: -9,
  noNode: -101,
  noAuth: -102,
  badVersion: -103,
  nodeExists: -110,
  notEmpty: -111,
  sessionExpired: -112,
  closing: -116,
} as const

export const ephemeralSequential = 3

export interface Stat {
  readonly version: number
  /** How often the ACL was set. */
  readonly aversion: number
  readonly numChildren: number
}

export interface AclEntry {
  readonly perms: number
  readonly scheme: string
  readonly auth: string
}
