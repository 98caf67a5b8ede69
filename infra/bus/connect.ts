/**
 * The one way to connect to NATS: for ever reconnecting, never echoing passwords, errors that say what to do.
 * @module
 */
import { connect, type NatsConnection } from '@nats-io/transport-node'
import { CodedError } from '../../sdk/errors.ts'

export type { NatsConnection } from '@nats-io/transport-node'

export interface BusOptions {
  /** One or more `nats://host:port`, separated by commas. */
  readonly url: string
  readonly user?: string
  readonly password?: string
  /** Shown in the server's connection list. */
  readonly name: string
}

/**
 * Connects, and keeps connected until closed.
 * @throws {CodedError} ERR_NATS_UNREACHABLE if no server answers within 10 s, ERR_NATS_REFUSED on wrong credentials.
 */
export async function connectBus(options: BusOptions): Promise<NatsConnection> {
  try {
    return await connect({
      servers: options.url.split(','),
      name: options.name,
      ...(options.user === undefined
        ? {}
        : { user: options.user, pass: options.password ?? '', inboxPrefix: inboxOf(options.user) }),
      maxReconnectAttempts: -1,
      reconnectTimeWait: 100,
      reconnectJitter: 50,
      timeout: 10_000,
      pingInterval: 10_000,
      noEcho: false,
    })
  } catch (cause) {
    const text = String((cause as Error).message ?? cause)
    if (/authorization/i.test(text)) {
      throw new CodedError(
        'ERR_NATS_REFUSED',
        `NATS at ${options.url} refused user '${options.user ?? ''}': check the credentials`,
        { cause },
      )
    }
    throw new CodedError(
      'ERR_NATS_UNREACHABLE',
      `Cannot reach NATS at ${options.url}: is nats-server running there? (${text})`,
      { cause },
    )
  }
}

/** Where answers to a user's requests go: the server lets nobody else listen there (infra/nats/permissions.ts). */
export function inboxOf(user: string): string {
  return `_INBOX_${user}`
}
