/**
 * Free ports, for servers that take their port by number: some time after it was chosen, and again after a restart.
 *
 * The system hands out its own range of ports all the time, to whoever connects and to whoever listens on any port. One of those
 * that was free a moment ago may be taken when a server that starts slowly wants it. So ports are chosen below that range.
 * @module
 */
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer, type Server } from 'node:net'

const lowest = 20_000
const highest = 29_999

/** Ports of this machine that nobody listens on, each another: all are held until all are known. */
export async function freePorts(count: number): Promise<number[]> {
  const servers: Server[] = []
  try {
    while (servers.length < count) {
      const server = await listen(ownRangeBegins() > highest ? randomPort() : 0)
      if (server !== undefined) servers.push(server)
    }
    return servers.map((server) => (server.address() as { port: number }).port)
  } finally {
    await Promise.all(servers.map((server) => once(server.close(), 'close')))
  }
}

/** Whether one can listen there. */
export async function isFreePort(port: number, host = '127.0.0.1'): Promise<boolean> {
  const server = await listen(port, host)
  server?.close()
  return server !== undefined
}

function randomPort(): number {
  return lowest + Math.floor(Math.random() * (highest - lowest + 1))
}

async function listen(port: number, host = '127.0.0.1'): Promise<Server | undefined> {
  const server = createServer().listen(port, host)
  return await once(server, 'listening').then(
    () => server,
    () => undefined, // somebody else has it
  )
}

/** The first of the ports that the system hands out; 0 where it does not say. */
function ownRangeBegins(): number {
  try {
    return Number.parseInt(readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8'), 10)
  } catch {
    return 0
  }
}
