/**
 * The errors of infra/nats, store, masters, bundles, checkpoints, spill, differences and local: a closed set of codes, and for each who can fix it.
 * @module
 */
import { type Blame, CodedError } from '../sdk/errors.ts'

export const infraErrors = {
  /** No nats-server program is installed. */
  ERR_NATS_SERVER_MISSING: 'caller',
  /** nats-server ended at its start or did not answer in time. */
  ERR_NATS_SERVER_FAILED: 'platform',
  /** Another program listens on the port. */
  ERR_PORT_TAKEN: 'caller',

  /** The store's URL names no store that this build knows. */
  ERR_STORE_URL: 'caller',
  /** The path is not one that every store can hold. */
  ERR_STORE_PATH: 'platform',
  /** The node exists already. */
  ERR_STORE_EXISTS: 'transient',
  /** The node has another version by now. */
  ERR_STORE_CONFLICT: 'transient',
  /** There is no such node. */
  ERR_STORE_NOT_FOUND: 'transient',
  /** The document is larger than documentBytesMax. */
  ERR_STORE_TOO_LARGE: 'caller',
  /** The store was written by another build, which this one does not understand. */
  ERR_STORE_SCHEMA: 'caller',
  /** Another process held the store's write lock for too long. */
  ERR_STORE_BUSY: 'transient',
  /** The store's file cannot be read or written, or is none. */
  ERR_STORE_FAILED: 'platform',
  /** The store was closed. */
  ERR_STORE_CLOSED: 'platform',
  /** No server of the store answers. */
  ERR_STORE_UNAVAILABLE: 'transient',
  /** The store belongs to other credentials, or none were given. */
  ERR_STORE_REFUSED: 'caller',
  /** The session with the store has ended, and what was held by it: the leadership. */
  ERR_STORE_SESSION: 'transient',
  /** The client of the store is not installed. */
  ERR_STORE_MODULE: 'caller',

  /** A message of the dead letters' stream that this build cannot read. */
  ERR_LETTER_MALFORMED: 'platform',

  /** The address under which the Mesos masters are to be found is none. */
  ERR_MASTERS_URL: 'caller',

  /** The archive of the runner, or the key that its URLs are signed with, is not there or not what it should be. */
  ERR_RUNNER_ARCHIVE: 'caller',

  /** No ZooKeeper or no Java is installed, for a server of our own. */
  ERR_ZOOKEEPER_MISSING: 'caller',
  /** A ZooKeeper server of our own ended at its start or did not answer in time. */
  ERR_ZOOKEEPER_FAILED: 'platform',

  /** The bundle store holds no bundle of this name. */
  ERR_BUNDLE_MISSING: 'platform',
  /** What the bundle store holds is not what was put there. */
  ERR_BUNDLE_CORRUPT: 'platform',
  /** The bytes of an upload are not those of the hash that it was sent under. */
  ERR_ASSET_HASH: 'caller',
  /** The bundle store did not answer, or has no room. */
  ERR_BUNDLE_STORE: 'transient',

  /** What the store of checkpoints holds is torn or missing, and so is the one before. */
  ERR_CHECKPOINT_CORRUPT: 'platform',
  /** The state that NATS keeps of a namespace belongs to another store. */
  ERR_OTHER_STORE: 'caller',
  /** The checkpoint was written by a later build. */
  ERR_CHECKPOINT_FORMAT: 'caller',
  /** An owner of a higher epoch has the checkpoints of this slot. */
  ERR_CHECKPOINT_SUPERSEDED: 'transient',
  /** The store of checkpoints did not answer, or has no room. */
  ERR_CHECKPOINT_STORE: 'transient',

  /** The store of records that wait on disk did not answer, or has no room. */
  ERR_SPILL_STORE: 'transient',

  /** The stream of what shadows have found to differ did not answer. */
  ERR_DIFFERENCES: 'transient',
  /** A message of differences that this build cannot read. */
  ERR_DIFFERENCES_MALFORMED: 'platform',

  /** Another `concord up` runs with the same home. */
  ERR_UP_RUNNING: 'caller',
  /** A process of the platform ended or kept silent before it was ready. */
  ERR_UP_CHILD: 'platform',
  /** The credentials file is damaged. */
  ERR_CREDENTIALS: 'caller',
  /** A cluster of that home has no process and no agent of that name. */
  ERR_MEMBER_UNKNOWN: 'caller',
  /** Nothing runs with that home, or nobody there answers yet. */
  ERR_NOTHING_UP: 'caller',
  /** A command line that cannot be understood. */
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
