/** The errors of the bus: code → who can fix it. */
import type { Blame } from '../../sdk/errors.ts'

export const busErrors = {
  /** Credentials were refused. */
  ERR_NATS_REFUSED: 'caller',
  /** The server and we do not trust one another, or one speaks TLS and the other does not. */
  ERR_NATS_TLS: 'caller',
  /** The server takes no messages as large as frames may be. */
  ERR_NATS_PAYLOAD: 'caller',
  /** No server answered. */
  ERR_NATS_UNREACHABLE: 'transient',
  /** A binary message of the channels cannot be read. */
  ERR_MESSAGE_MALFORMED: 'platform',
  /** A producer was asked to write a stream that it was not told of. */
  ERR_STREAM_UNKNOWN: 'platform',
  /** The number of partitions of a written stream was changed. */
  ERR_STREAM_PARTITIONS: 'caller',
} as const satisfies Record<string, Blame>
