/**
 * Free ports, for servers that take their port by number: some time after it was chosen, and again after a restart.
 *
 * The system hands out its own range of ports all the time, to whoever connects and to whoever listens on any port. One of those
 * that was free a moment ago may be taken when a server that starts slowly wants it. So ports are chosen below that range.
 *
 *   FP1. A port is given to one process as long as that lives, though its server is not up yet, or down for a while: it holds the UDP port of
 *        the same number, which no server of ours wants. So the system keeps others away, and takes it back however the process ends.
 * @module
 */
import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { type AddressInfo, createServer, type Server } from 'node:net'

const lowest = 20_000
const highest = 29_999

/** By port: what holds it for us. */
const held = new Map<number, Socket>()

/** Ports of this machine that nobody listens on and nobody else is given (FP1), each another. */
export async function freePorts(count: number): Promise<number[]> {
  const ports: number[] = []
  while (ports.length < count) {
    const server = await listen(ownRangeBegins() > highest ? randomPort() : 0)
    if (server === undefined) continue
    const { port } = server.address() as AddressInfo
    if (await hold(port)) ports.push(port)
    await once(server.close(), 'close')
  }
  return ports
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

/** @returns False if somebody has chosen it already, perhaps we. */
async function hold(port: number): Promise<boolean> {
  const socket = createSocket('udp4')
  socket.bind({ port, address: '127.0.0.1', exclusive: true })
  return await once(socket, 'listening').then(
    () => {
      held.set(port, socket.unref())
      return true
    },
    () => {
      socket.close()
      return false
    },
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
