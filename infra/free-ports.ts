/**
 * FreePorts: chooses ports for servers that are configured by number, and so need the port some time after it was
 * chosen, and again after a restart.
 *
 * The system hands out ports of its own range all the time, so a port of that range that is free now may be taken
 * before a slow server listens. Therefore ports are chosen below the range.
 *
 *   FP1. A port is given to one process for the life of that process, even while its server is not up: the process
 *        holds the UDP port of the same number, which no server of ours uses. The system releases it however the
 *        process ends.
 * @module
 */
import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { type AddressInfo, createServer, type Server } from 'node:net'

const lowest = 20_000
const highest = 29_999

/** By port: the UDP socket that reserves it. */
const held = new Map<number, Socket>()

/** Different free ports of this machine, reserved for this process (FP1). */
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

/** Whether the port can be listened on. */
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
    () => undefined, // another process has it
  )
}

/** @returns False if the port is reserved already, perhaps by us. */
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
