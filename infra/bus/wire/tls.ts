/**
 * TLS: TLS settings of a connection to NATS, and how TLS is put over a socket.
 *
 * The server sends its greeting (INFO) without TLS; then the client starts TLS.
 * @module
 */
import { readFile } from 'node:fs/promises'
import { createConnection, isIP } from 'node:net'
import { connect, type TLSSocket } from 'node:tls'
import { CodedError } from '../../../sdk/errors.ts'

/** PEM texts, so that a runner needs no files on its machine. */
export interface NatsTls {
  /** The authority that signs the servers' certificates; absent: the authorities that Node knows. */
  readonly ca?: string
  /** The client certificate, if the servers ask for one. */
  readonly cert?: string
  readonly key?: string
}

/** The settings `nats.url`, `nats.caFile`, `nats.certFile` and `nats.keyFile`. */
export interface TlsSettings {
  readonly url: string
  readonly caFile?: string | undefined
  readonly certFile?: string | undefined
  readonly keyFile?: string | undefined
}

const greetingBytesMax = 64 * 1024
const handshakeMs = 10_000
/** Errors of Node and OpenSSL when one side does not trust the other. */
const distrust = /CERT|SELF_SIGNED|UNABLE_TO|ALTNAME|SSL|TLS|certificate/i

/** @returns Undefined without TLS. @throws {CodedError} ERR_NATS_TLS if a file cannot be read. */
export async function readTls({ url, caFile, certFile, keyFile }: TlsSettings): Promise<NatsTls | undefined> {
  if ((certFile === undefined) !== (keyFile === undefined))
    throw tlsError(
      'Cannot use TLS with NATS: nats.certFile and nats.keyFile belong together. Set both, or none',
    )
  const isMeant = url.split(',').some((server) => server.startsWith('tls://'))
  if (!isMeant && caFile === undefined && certFile === undefined) return undefined
  return {
    ...(caFile !== undefined && { ca: await pemOf('nats.caFile', caFile) }),
    ...(certFile !== undefined && { cert: await pemOf('nats.certFile', certFile) }),
    ...(keyFile !== undefined && { key: await pemOf('nats.keyFile', keyFile) }),
  }
}

/** Connects, reads the greeting and starts TLS. @returns The socket, and the greeting for the parser. */
export async function dialTls(
  host: string,
  port: number,
  tls: NatsTls,
): Promise<{ readonly socket: TLSSocket; readonly greeting: Buffer }> {
  const { promise, resolve, reject } = Promise.withResolvers<{ socket: TLSSocket; greeting: Buffer }>()
  const plain = createConnection({ host, port, noDelay: true })
  const timer = setTimeout(() => reject(new Error('no answer in time')), handshakeMs)
  plain.once('error', reject).once('close', () => reject(new Error('the server closed the connection')))
  let greeting = Buffer.alloc(0)
  plain.on('data', function greet(bytes: Buffer) {
    greeting = Buffer.concat([greeting, bytes])
    if (greeting.length > greetingBytesMax) return reject(new Error('the server sent no greeting of NATS'))
    if (!greeting.includes('\r\n')) return
    plain.off('data', greet)
    if (!/"tls_(required|available)":\s*true/.test(greeting.toString('latin1')))
      return reject(tlsError('the server speaks no TLS: leave nats.caFile out and write nats:// in nats.url'))
    const name = isIP(host) === 0 ? { servername: host } : {}
    const socket = connect({ socket: plain, host, ...name, ...tls }, () => resolve({ socket, greeting }))
    socket.once('error', reject)
  })
  try {
    return await promise
  } catch (error) {
    plain.destroy()
    throw error
  } finally {
    clearTimeout(timer)
  }
}

/** Whether a connection failed because one side does not trust the other. */
export function isDistrust(cause: unknown): boolean {
  const { code = '', message = '' } = cause as { code?: string; message?: string }
  return distrust.test(code) || distrust.test(message)
}

/** One side does not trust the other, or they use TLS differently. */
export function tlsError(message: string, cause?: unknown): CodedError<'ERR_NATS_TLS'> {
  return new CodedError('ERR_NATS_TLS', message, { cause })
}

async function pemOf(setting: string, file: string): Promise<string> {
  const text = await readFile(file, 'utf8').catch((cause: Error) => {
    throw tlsError(`Cannot read ${setting} (${file}): ${cause.message}`, cause)
  })
  if (text.includes('-----BEGIN ')) return text
  throw tlsError(`Cannot use ${setting} (${file}): expected PEM, which begins with -----BEGIN`)
}
