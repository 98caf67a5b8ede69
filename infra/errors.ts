/**
 * The errors of infra/nats, store, masters, bundles, checkpoints, spill, differences and local: a closed set of codes, and for each who can fix it.
 * @module
 */
import { type Blame, CodedError } from '../sdk/errors.ts'

export const infraErrors = {
  /** No nats-server program is installed. */
  ERR_NATS_SERVER_MISSING: 'caller',
  /** nats-server ended when it was started, or did not answer in time. */
  ERR_NATS_SERVER_FAILED: 'platform',
  /** Another program listens on the port. */
  ERR_PORT_TAKEN: 'caller',

  /** The store's URL names an unknown kind of store. */
  ERR_STORE_URL: 'caller',
  /** The path contains something that not every store can hold. */
  ERR_STORE_PATH: 'platform',
  /** The node exists already. */
  ERR_STORE_EXISTS: 'transient',
  /** The node was changed by somebody else. */
  ERR_STORE_CONFLICT: 'transient',
  /** The node does not exist. */
  ERR_STORE_NOT_FOUND: 'transient',
  /** The document is larger than documentBytesMax. */
  ERR_STORE_TOO_LARGE: 'caller',
  /** The store was written by a build whose format this one cannot read. */
  ERR_STORE_SCHEMA: 'caller',
  /** Another process held the store's write lock for too long. */
  ERR_STORE_BUSY: 'transient',
  /** The store's file cannot be read or written, or is no store. */
  ERR_STORE_FAILED: 'platform',
  /** The store was closed. */
  ERR_STORE_CLOSED: 'platform',
  /** No server of the store answers. */
  ERR_STORE_UNAVAILABLE: 'transient',
  /** The store refuses the credentials, or none were given. */
  ERR_STORE_REFUSED: 'caller',
  /** The session with the store has ended, and the leadership with it. */
  ERR_STORE_SESSION: 'transient',
  /** The client of the store is not installed. */
  ERR_STORE_MODULE: 'caller',
  /** The store belongs to another namespace. */
  ERR_OTHER_NAMESPACE: 'caller',

  /** This build cannot read a message of dead letters. */
  ERR_LETTER_MALFORMED: 'platform',

  /** The address of the Mesos masters is malformed. */
  ERR_MASTERS_URL: 'caller',

  /** The runner's archive, or the key that signs its URLs, is missing or invalid. */
  ERR_RUNNER_ARCHIVE: 'caller',

  /** ZooKeeper or Java is not installed, so no server can be started. */
  ERR_ZOOKEEPER_MISSING: 'caller',
  /** A ZooKeeper server that was started here ended at once or did not answer in time. */
  ERR_ZOOKEEPER_FAILED: 'platform',

  /** The bundle store has no bundle of this name. */
  ERR_BUNDLE_MISSING: 'platform',
  /** Content of the bundle store has changed since it was stored. */
  ERR_BUNDLE_CORRUPT: 'platform',
  /** The bytes of an upload do not match the hash under which it was sent. */
  ERR_ASSET_HASH: 'caller',
  /** The bundle store did not answer, or has no room. */
  ERR_BUNDLE_STORE: 'transient',

  /** The checkpoint is torn or missing, and so is the one before it. */
  ERR_CHECKPOINT_CORRUPT: 'platform',
  /** The namespace's state in NATS belongs to another store. */
  ERR_OTHER_STORE: 'caller',
  /** The checkpoint was written by a later build. */
  ERR_CHECKPOINT_FORMAT: 'caller',
  /** A newer owner has taken over this state. */
  ERR_CHECKPOINT_SUPERSEDED: 'transient',
  /** JetStream did not answer for a checkpoint, or has no room for it. */
  ERR_CHECKPOINT_STORE: 'transient',

  /** JetStream did not answer for records that wait on disk, or has no room for them. */
  ERR_SPILL_STORE: 'transient',

  /** JetStream did not answer for the differences that shadows found. */
  ERR_DIFFERENCES: 'transient',
  /** This build cannot read a message of differences. */
  ERR_DIFFERENCES_MALFORMED: 'platform',

  /** Another `concord up` runs with the same `--home`. */
  ERR_UP_RUNNING: 'caller',
  /** A process of the platform ended, or was not ready in time. */
  ERR_UP_CHILD: 'platform',
  /** The credentials file is damaged, or it is missing and the store accepts no others. */
  ERR_CREDENTIALS: 'caller',
  /** The cluster has no process or agent of that name. */
  ERR_MEMBER_UNKNOWN: 'caller',
  /** No platform runs with that `--home`, or it does not answer yet. */
  ERR_NOTHING_UP: 'caller',
  /** The command line is invalid. */
  ERR_USAGE: 'caller',
} as const satisfies Record<string, Blame>

export type InfraErrorCode = keyof typeof infraErrors

/** An error of this folder: the compiler refuses a code that is not in the table. */
export function infraError(
  code: InfraErrorCode,
  message: string,
  options: { readonly cause?: unknown; readonly detail?: Readonly<Record<string, unknown>> } = {},
): CodedError<InfraErrorCode> {
  return new CodedError(code, message, options)
}
