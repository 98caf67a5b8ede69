/**
 * RawRepublish: publishes the records of streams marked raw, one a message on `concord.NS.out.STREAM`, for any NATS
 * client.
 *
 * Runs only in the leader. It is a plain reader of the stream and holds nothing back.
 *   O1. At most `unconfirmedBytesMax` and one frame are published but not confirmed by the server. Beyond that,
 *       records are dropped and counted: they would pile up here behind a slow server.
 *   O2. So is a record that becomes too large for a message: a binary key travels in base64, which is a third longer.
 * @module
 */
import { isUtf8 } from 'node:buffer'
import { headers, type MsgHdrs } from '@nats-io/transport-node'
import { type NatsConnection, startTail, subjects, type Wire } from '../../infra/bus/index.ts'
import { type FrameHeader, type RawRecord, recordsOf } from '../../sdk/wire/frame.ts'
import type { CatalogView } from '../catalog/catalog.ts'
import type { GatewayMetrics } from '../metrics.ts'
import { keyBase64Header, keyHeader } from './raw-ingest.ts'

const unconfirmedBytesMax = 8 * 1024 * 1024

export interface RawRepublishOptions {
  readonly nc: NatsConnection
  readonly wire: Wire
  readonly namespace: string
  readonly metrics: GatewayMetrics
}

export class RawRepublish {
  readonly #options: RawRepublishOptions
  readonly #tails = new Map<string, () => void>()
  #unconfirmedBytes = 0
  #confirming = false

  constructor(options: RawRepublishOptions) {
    this.#options = options
  }

  /** Republishes the streams that are marked raw, and no others. */
  adopt(view: CatalogView): void {
    const { wire, namespace } = this.#options
    for (const { name: stream, document } of view.streams.values()) {
      if (!document.raw || this.#tails.has(stream)) continue
      const onFrame = (bytes: Uint8Array, header: FrameHeader): void => this.#republish(stream, bytes, header)
      this.#tails.set(stream, startTail({ wire, namespace, stream, onFrame, onGap: () => undefined }))
    }
    for (const stream of this.#tails.keys()) if (!view.streams.get(stream)?.document.raw) this.#end(stream)
  }

  stop(): void {
    for (const stream of [...this.#tails.keys()]) this.#end(stream)
  }

  #end(stream: string): void {
    this.#tails.get(stream)?.()
    this.#tails.delete(stream)
  }

  #republish(stream: string, bytes: Uint8Array, header: FrameHeader): void {
    const { wire, namespace, metrics } = this.#options
    if (!wire.connected || this.#unconfirmedBytes > unconfirmedBytesMax) {
      metrics.republishDropped.inc({ stream }, header.count)
      return
    }
    const subject = subjects.rawSubject(namespace, stream)
    let sent = 0
    for (const record of recordsOf(bytes, header)) if (this.#publish(subject, record)) sent += 1
    metrics.republished.inc({ stream }, sent)
    metrics.republishDropped.inc({ stream }, header.count - sent)
    this.#unconfirmedBytes += bytes.length
    this.#confirm()
  }

  /** @returns False if the client library refuses it: it exceeds the server's `max_payload` (O2). */
  #publish(subject: string, { key, value }: RawRecord): boolean {
    try {
      this.#options.nc.publish(subject, value, key.length === 0 ? {} : { headers: keyHeaders(key) })
      return true
    } catch {
      return false
    }
  }

  #confirm(): void {
    if (this.#confirming) return
    this.#confirming = true
    const bytes = this.#unconfirmedBytes
    this.#options.nc.flush().then(
      () => this.#onConfirmed(bytes),
      () => this.#onConfirmed(this.#unconfirmedBytes), // disconnected: the client discards what it had
    )
  }

  #onConfirmed(bytes: number): void {
    this.#confirming = false
    this.#unconfirmedBytes -= bytes
    if (this.#unconfirmedBytes > 0 && this.#options.wire.connected) this.#confirm()
  }
}

function keyHeaders(key: Uint8Array): MsgHdrs {
  const made = headers()
  const text = isUtf8(key) ? Buffer.from(key).toString('utf8') : undefined
  if (text !== undefined && !/[\r\n]/.test(text) && text.trim() === text) made.set(keyHeader, text)
  else made.set(keyBase64Header, Buffer.from(key).toString('base64'))
  return made
}
