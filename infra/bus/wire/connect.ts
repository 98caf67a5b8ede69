/**
 * Connects to NATS for control, bundles and logs (channels use nats-wire.ts): reconnects for ever, never shows passwords, and
 * its errors say what to do.
 *
 *   CB1. A refusal is reported (`onTrouble`) once per connection, and each one in a row doubles the wait for the next attempt, up
 *        to `waitMaxMs`: passwords are changed by people.
 * @module
 */
import { connect, type NatsConnection } from '@nats-io/transport-node'
import { CodedError } from '../../../sdk/errors.ts'
import { isDistrust, type NatsTls, tlsError } from './tls.ts'

export type { NatsConnection } from '@nats-io/transport-node'

export interface BusOptions {
  /** One or more `nats://host:port`, separated by commas. */
  readonly url: string
  readonly user?: string
  readonly password?: string
  /** Absent: without TLS. */
  readonly tls?: NatsTls
  /** Shown in the server's connection list. */
  readonly name: string
  /** Default: a warning of the process. */
  readonly onTrouble?: (message: string) => void
}

const waitMs = 100
const waitJitterMs = 50
const waitMaxMs = 5_000

/** How long to wait before the next attempt, after so many refusals in a row. */
export function reconnectWaitMs(refusals: number): number {
  return Math.min(waitMaxMs, waitMs * 2 ** refusals) + Math.random() * waitJitterMs
}

/** Each server that was named has been tried, and at least one that these have announced. */
const allRefuse = new Error('No server of the cluster lets us in')

/**
 * Connects, and keeps connected until closed, whatever the servers answer.
 * @throws {CodedError} ERR_NATS_UNREACHABLE if no server answers within 10 s, ERR_NATS_REFUSED on wrong credentials,
 *   ERR_NATS_TLS.
 */
export async function connectBus(options: BusOptions): Promise<NatsConnection> {
  const servers = options.url.split(',')
  const given = {
    servers,
    name: options.name,
    ...(options.user === undefined
      ? {}
      : { user: options.user, pass: options.password ?? '', inboxPrefix: inboxOf(options.user) }),
    ...(options.tls === undefined ? {} : { tls: { ...options.tls } }),
    maxReconnectAttempts: -1,
    ignoreAuthErrorAbort: true, // else it closes for good when refused twice, as while passwords are changed
    timeout: 10_000,
    pingInterval: 10_000,
    noEcho: false,
  }
  const toNamed = { ...given, ignoreClusterUpdates: true, reconnectTimeWait: waitMs }
  const refused = { times: 0 }
  let isFirst = true
  let turns = 0
  const reconnectDelayHandler = (): number => {
    // A server that refuses is forgotten, but each one announces the others of its cluster: it would go on for ever.
    if (isFirst && ++turns > servers.length + 1) throw allRefuse
    return reconnectWaitMs(refused.times)
  }
  try {
    const nc = await connect({ ...given, reconnectDelayHandler }).catch(async (cause) => {
      if (cause !== allRefuse) throw cause
      // It throws the reason. If a server lets us in after all, this connection would not hear of others.
      await (await connect(toNamed)).close()
      turns = 0
      return await connect({ ...given, reconnectDelayHandler })
    })
    isFirst = false
    void watchRefusals(nc, options, refused)
    return nc
  } catch (cause) {
    if (cause === allRefuse || isRefusal(cause)) throw refusedError(options, cause)
    if (isDistrust(cause)) throw distrustError(options, cause)
    throw unreachableError(options, cause)
  }
}

/** CB1 */
async function watchRefusals(
  nc: NatsConnection,
  options: BusOptions,
  refused: { times: number },
): Promise<void> {
  const { name, onTrouble = (message) => process.emitWarning(message) } = options
  for await (const event of nc.status()) {
    if (event.type === 'reconnect') refused.times = 0
    if (event.type !== 'error' || !isRefusal(event.error)) continue
    refused.times += 1
    if (refused.times === 1) onTrouble(`'${name}' waits: ${refusedError(options).message}`)
  }
}

function isRefusal(error: unknown): boolean {
  return /authorization/i.test(messageOf(error))
}

/** One side does not trust the other, or only one uses TLS. */
export function distrustError({ url, tls }: BusOptions, cause: unknown): CodedError<'ERR_NATS_TLS'> {
  const what = tls === undefined ? 'it wants TLS, and none is set' : messageOf(cause)
  return tlsError(
    `Cannot talk to NATS at ${url}: ${what}. nats.caFile names who signs for the servers, nats.certFile and nats.keyFile what they know us by`,
    cause,
  )
}

/** The server refuses the user or the password. */
export function refusedError(
  { url, user = '' }: BusOptions,
  cause?: unknown,
): CodedError<'ERR_NATS_REFUSED'> {
  const message = `NATS at ${url} refused user '${user}': check nats.user and nats.password (of runners: nats.runnerUser and nats.runnerPassword)`
  return new CodedError('ERR_NATS_REFUSED', message, { cause })
}

/** The server would close the connection because of a large frame. */
export function payloadError(
  { url }: BusOptions,
  found: number,
  needed: number,
): CodedError<'ERR_NATS_PAYLOAD'> {
  const message = `NATS at ${url} takes messages of ${found} bytes at most, and records need ${needed}: set its max_payload to 1048576`
  return new CodedError('ERR_NATS_PAYLOAD', message)
}

/** No server answers. */
export function unreachableError(
  { url, tls }: BusOptions,
  cause: unknown,
): CodedError<'ERR_NATS_UNREACHABLE'> {
  // A server that asks for a certificate closes the connection with a reason that the client library does not pass on.
  const more =
    tls !== undefined && tls.cert === undefined ? ' Or does it ask for a certificate (nats.certFile)?' : ''
  const message = `Cannot reach NATS at ${url}: is nats-server running there? (${messageOf(cause)})${more}`
  return new CodedError('ERR_NATS_UNREACHABLE', message, { cause })
}

function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause)
}

/** Where answers to a user's requests go: the server lets nobody else listen there (infra/nats/permissions.ts). */
export function inboxOf(user: string): string {
  return `_INBOX_${user}`
}
