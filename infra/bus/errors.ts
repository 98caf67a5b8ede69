/** The errors of the bus: code → who can fix it. */
import type { Blame } from '../../sdk/errors.ts'

export const busErrors = {
  /** NATS refused the credentials. */
  ERR_NATS_REFUSED: 'caller',
  /** TLS to NATS failed: one side does not trust the other, or only one of them uses TLS. */
  ERR_NATS_TLS: 'caller',
  /** The server's `max_payload` is smaller than a frame. */
  ERR_NATS_PAYLOAD: 'caller',
  /** No NATS server answered. */
  ERR_NATS_UNREACHABLE: 'transient',
  /** A binary message of a channel cannot be read. */
  ERR_MESSAGE_MALFORMED: 'platform',
  /** A producer was asked to write to a stream that it does not know. */
  ERR_STREAM_UNKNOWN: 'platform',
  /** The number of partitions of a stream in use was changed. */
  ERR_STREAM_PARTITIONS: 'caller',
} as const satisfies Record<string, Blame>
