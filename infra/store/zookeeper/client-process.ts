/**
 * ClientProcess: ZooKeeper's native client with one session, in a process of its own beside the one that uses it.
 *
 * The client closes sockets before it removes them from the event loop. In a process that opens other sockets
 * meanwhile, those get the same descriptors and lose their place in the loop: connections fall silent, and the
 * process may abort. Here there are no other sockets. And if the client crashes (it reads address 0 if asked for the
 * ACL of a missing node), only a session ends, not a gateway.
 *
 *   ZP1. This process only sends and receives messages, and nothing at all inside a call of the native client.
 *   ZP2. The session does not outlive its user: it is closed when that process has ended, or its event loop has stood
 *        still for the session's timeout.
 * @module
 */
import { createRequire } from 'node:module'
import type { ClientMethod, FromClient, ToClient } from './client-protocol.ts'

/** The npm package's client. A call returns 0 and calls back; or returns another code and does not. */
interface NativeClient extends Record<ClientMethod, (...args: unknown[]) => number> {
  /** 0 if it could not be made. */
  readonly state: number
  /** As negotiated with the server. */
  readonly timeout: number
  init(options: object): unknown
  close(): void
  on(event: string, listener: (client: unknown, detail: unknown) => void): void
}

/** Empty answers of the client's event loop in a row after which it gives up; its own 10 would end a slow connection. */
const emptyAnswersMax = 2 ** 30

let client: NativeClient | undefined
let timeoutMs = 0
let beatAtMs = performance.now()

process.on('message', (message: ToClient) => {
  switch (message.kind) {
    case 'open':
      return open(message)
    case 'call':
      return call(message)
    case 'beat':
      beatAtMs = performance.now()
      return say({ kind: 'beat' })
    case 'close':
      return close()
  }
})
process.on('disconnect', close) // ZP2
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => {}) // it ends with its parent
setInterval(() => {
  if (timeoutMs > 0 && performance.now() - beatAtMs > timeoutMs) close() // ZP2
}, 50)

function open(options: ToClient & { readonly kind: 'open' }): void {
  timeoutMs = options.timeoutMs
  try {
    const Native = createRequire(import.meta.url)(options.module) as new (options: object) => NativeClient
    client = new Native({
      connect: options.connect,
      timeout: timeoutMs,
      debug_level: 0,
      host_order_deterministic: true,
      response_counter_limit: emptyAnswersMax,
    })
  } catch (error) {
    say({ kind: 'unusable', why: `cannot be loaded: ${(error as Error).message.split('\n')[0]}` })
    return end()
  }
  const native = client
  native.on('connect', () => {
    timeoutMs = native.timeout
    say({ kind: 'up', timeoutMs })
  })
  native.on('connecting', () => say({ kind: 'down' }))
  native.on('close', end)
  for (const event of ['created', 'deleted', 'changed', 'child'] as const)
    native.on(event, (_client, path) => say({ kind: 'event', event, path: path as string }))
  native.init({})
  if (native.state === 0) end()
}

function call({ id, method, args }: ToClient & { readonly kind: 'call' }): void {
  const answer = (rc: number, text: string, ...results: unknown[]) =>
    say({ kind: 'answer', id, rc, text, results })
  const buffers = args.map((arg) => (arg instanceof Uint8Array ? Buffer.from(arg) : arg))
  const refused = client?.[method](...buffers, answer)
  if (refused !== 0) answer(refused ?? -9, 'refused by the client')
}

function close(): void {
  if (client === undefined || client.state === 0) end()
  else client.close()
}

/** Sends a message from its own turn of the event loop (ZP1), in order. */
function say(message: FromClient): void {
  setImmediate(() => {
    if (process.connected) process.send?.(message)
  })
}

function end(): void {
  say({ kind: 'ended' })
  setImmediate(() => process.exit(0))
}
