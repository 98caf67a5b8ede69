/**
 * Servers: finds the living servers of an ensemble before the client connects. The client would resolve names on the
 * event loop, and if its first server refuses the connection it hangs without an error.
 * @module
 */
import { lookup } from 'node:dns/promises'
import { connect } from 'node:net'
import type { ZooKeeperAddress } from './address.ts'

export type FoundServers =
  /** Addresses for the client, those that answered first. */
  { readonly kind: 'some'; readonly connect: string } | { readonly kind: 'none'; readonly why: string }

type Server = ZooKeeperAddress['servers'][number]

const tryMs = 3_000

/** `zk1:2181,zk2:2181`, for messages. */
export function describeServers({ servers }: ZooKeeperAddress): string {
  return servers.map(({ host, port }) => `${host}:${port}`).join(',')
}

export async function findServers({ servers }: ZooKeeperAddress, signal: AbortSignal): Promise<FoundServers> {
  const tried = await Promise.all(servers.map((server) => tryServer(server, signal)))
  const why = tried.map(({ why }, at) => `${servers[at]!.host}:${servers[at]!.port} ${why}`).join(', ')
  if (tried.every((one) => one.why !== undefined)) return { kind: 'none', why }
  const shuffled = shuffle(tried)
  const first = shuffled.filter((one) => one.why === undefined)
  const rest = shuffled.filter((one) => one.why !== undefined)
  return { kind: 'some', connect: [...first, ...rest].flatMap(({ at }) => at ?? []).join(',') }
}

/** The address of a server, if its name has one; and why it does not answer, if it does not. */
async function tryServer(
  { host, port }: Server,
  signal: AbortSignal,
): Promise<{ readonly at?: string; readonly why?: string }> {
  try {
    const { address, family } = await lookup(host)
    const at = family === 6 ? `[${address}]:${port}` : `${address}:${port}`
    const why = await knock(address, port, signal)
    return why === undefined ? { at } : { at, why }
  } catch (error) {
    return { why: `has no address (${(error as NodeJS.ErrnoException).code})` }
  }
}

function knock(host: string, port: number, signal: AbortSignal): Promise<string | undefined> {
  const { promise, resolve } = Promise.withResolvers<string | undefined>()
  const socket = connect({ host, port })
  const giveUp = () => resolve('does not answer')
  socket.setTimeout(tryMs, giveUp)
  signal.addEventListener('abort', giveUp, { once: true })
  socket.once('connect', () => resolve(undefined))
  socket.once('error', (error: NodeJS.ErrnoException) =>
    resolve(error.code === 'ECONNREFUSED' ? 'refuses the connection' : `cannot be reached (${error.code})`),
  )
  return promise.finally(() => {
    signal.removeEventListener('abort', giveUp)
    socket.destroy()
  })
}

/** So that clients spread over the servers. */
function shuffle<T>(list: readonly T[]): T[] {
  return list
    .map((value) => ({ value, at: Math.random() }))
    .sort((a, b) => a.at - b.at)
    .map(({ value }) => value)
}
