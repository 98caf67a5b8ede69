/**
 * Testing: a real ZooKeeper server, stores on it, and a connection that can be disturbed.
 * @module
 */
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, type TestContext } from 'node:test'
import { startZooKeeper, type ZooKeeperServer } from '../../zookeeper/index.ts'
import type { Store } from '../store.ts'
import { openZooKeeperStore, type ZooKeeperStoreOptions } from './zookeeper.ts'

export const login = { user: 'concord', password: 'secret' }
/** Long enough for a machine that is busy with something else. */
export const sessionTimeoutMs = 6_000

export interface TestServer {
  readonly server: ZooKeeperServer
  /** Kills the server and starts it again, on the same port and data. */
  restart(whileDown?: () => Promise<unknown>): Promise<void>
  /** Of a new, empty store. */
  freshRoot(): string
}

/** One server for all tests of a file. */
export function useServer(): TestServer {
  let dir: string
  let server: ZooKeeperServer
  let roots = 0
  before(async () => {
    dir = await mkdtemp(join(tmpdir(), 'concord-zookeeper-'))
    server = await startZooKeeper({ dir, tickMs: 300 })
  })
  after(async () => {
    await server?.stop('SIGKILL')
    await rm(dir, { recursive: true, force: true })
  })
  return {
    get server() {
      return server
    },
    async restart(whileDown = async () => {}) {
      const { port } = server
      await server.stop('SIGKILL')
      await whileDown()
      server = await startZooKeeper({ dir, port, tickMs: 300 })
    },
    freshRoot: () => `/store-${roots++}`,
  }
}

export async function opened(
  t: TestContext,
  connect: string,
  root: string,
  more: Partial<ZooKeeperStoreOptions> = {},
): Promise<Store> {
  const store = await openZooKeeperStore({
    url: `zk://${connect}${root}`,
    ...login,
    sessionTimeoutMs,
    ...more,
  })
  t.after(() => store.close())
  return store
}

/** Codes of ZooKeeper's protocol. */
const requests = { create: 1, delete: 2, setData: 5, setAcl: 7 } as const

/** A wire between client and server. */
export interface Wire {
  readonly connect: string
  /** Bytes go to the client one by one from now on. */
  dribble(): void
  /** The next request of the kind reaches the server; its answer is thrown away, and the connection ends. */
  loseAnswerTo(kind: keyof typeof requests): void
  /** How many answers were lost so. */
  readonly lost: number
  /** Connections end, and no new ones are taken; or they are again. */
  cut(off: boolean): void
}

export async function startWire(t: TestContext, port: number): Promise<Wire> {
  let [dribbling, isCut, lost] = [false, false, 0]
  let losing: number | undefined
  const sockets = new Set<Socket>()
  const server: Server = createServer((client) => {
    if (isCut) return void client.destroy()
    const upstream = connect(port, '127.0.0.1')
    let swallow = false
    const codesIn = requestReader()
    for (const socket of [client, upstream]) {
      sockets.add(socket)
      socket.setNoDelay(true).on('error', () => {})
      socket.once('close', () => {
        sockets.delete(socket)
        client.destroy()
        upstream.destroy()
      })
    }
    client.on('data', (bytes) => {
      for (const code of codesIn(bytes)) {
        if (code !== losing) continue
        losing = undefined
        swallow = true
      }
      upstream.write(bytes)
    })
    let sending = Promise.resolve()
    upstream.on('data', (bytes) => {
      if (swallow) {
        lost++
        client.destroy()
        return
      }
      sending = sending.then(() => send(client, bytes, dribbling))
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = `127.0.0.1:${(server.address() as AddressInfo).port}`
  const end = () => {
    for (const socket of sockets) socket.destroy()
  }
  t.after(() => {
    server.close()
    end()
  })
  return {
    connect: `${address},${address}`, // so that the client does not wait before it tries again
    dribble: () => {
      dribbling = true
    },
    loseAnswerTo: (kind) => {
      losing = requests[kind]
    },
    get lost() {
      return lost
    },
    cut(off) {
      isCut = off
      if (off) end()
    },
  }
}

async function send(to: Socket, bytes: Buffer, oneByOne: boolean): Promise<void> {
  if (!oneByOne) return void to.write(bytes)
  for (const byte of bytes) {
    to.write(Buffer.of(byte))
    await new Promise((resolve) => setImmediate(resolve))
  }
}

/** Answers what the requests ask for that end in these bytes; each begins with its length, its number and that. */
function requestReader(): (bytes: Buffer) => number[] {
  let rest = Buffer.alloc(0)
  return (bytes) => {
    rest = Buffer.concat([rest, bytes])
    const found: number[] = []
    while (rest.length >= 4 && rest.length >= 4 + rest.readInt32BE(0)) {
      const end = 4 + rest.readInt32BE(0)
      if (end >= 12) found.push(rest.readInt32BE(8))
      rest = rest.subarray(end)
    }
    return found
  }
}

/** The client processes of a process. */
export function sessionsOf(pid: number): number[] {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter(Boolean)
  return children
    .map(Number)
    .filter((child) => readFileSync(`/proc/${child}/cmdline`, 'utf8').includes('client-process'))
}

/** As a computation that takes so long would. */
export function stopEventLoop(durationMs: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, durationMs)
}
