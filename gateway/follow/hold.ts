/**
 * Holding follower: a reader over HTTP that the stream waits for, so that it misses nothing.
 *
 * It is a consumer like a function, under the name `follower.ID`, and known to producers by its document in the store.
 *   H1. `ready` is said when every producer of the stream that runs, and every gateway, is known to wait for it.
 *   H2. A frame is acknowledged when the client has taken it off our hands: its lines were written to the socket, and the
 *       socket asked for more.
 *   H3. However it ends, its document goes away; should this process be killed, the scheduler removes it.
 * @module
 */
import { randomBytes } from 'node:crypto'
import { setTimeout } from 'node:timers/promises'
import { Consumer, type TakenFrame, type Wire } from '../../infra/bus/index.ts'
import type { Clock } from '../../infra/clock.ts'
import type { OutputLedger } from '../../infra/control/messages.ts'
import { type FollowerDocument, paths, type Store, upsert } from '../../infra/store/index.ts'
import type { FollowEvent, RecordOutput } from '../../sdk/api.ts'
import { type Catalog, followerName } from '../catalog/catalog.ts'
import { type Heartbeats, reportOf } from '../catalog/heartbeats.ts'
import { refuse } from '../errors.ts'
import type { Ingest } from '../ingest/ingest.ts'
import { outputsOf } from './encode.ts'
import { Wake } from './wake.ts'

export const readyWaitMs = 20_000
/** The scheduler removes a document 10 s overdue; each renewal makes it and all gateways read the store. */
const renewEveryMs = 3000
const lookEveryMs = 50
const windowBytes = 4 * 1024 * 1024
const takeBytes = 256 * 1024

export interface HoldOptions {
  readonly wire: Wire
  readonly namespace: string
  readonly gatewayId: string
  readonly stream: string
  readonly store: Store
  readonly catalog: Catalog
  readonly heartbeats: Heartbeats
  readonly ingest: Ingest
  readonly clock: Clock
  /** Aborted when the client has gone or the gateway stops. */
  readonly signal: AbortSignal
  readonly onError: (error: unknown) => void
}

export class HoldingFollower {
  readonly #options: HoldOptions
  readonly #id = randomBytes(8).toString('hex')
  readonly #wake = new Wake()
  readonly #consumer: Consumer
  #stopRenewing: () => void = () => undefined
  #closed: Promise<void> | undefined

  private constructor(options: HoldOptions) {
    this.#options = options
    const { wire, namespace, clock } = options
    const name = followerName(this.#id)
    this.#consumer = new Consumer({
      wire,
      namespace,
      name,
      epoch: 1,
      clock,
      windowBytes,
      onFrames: this.#wake.call,
    })
  }

  /** Makes it known and waits until it is (H1). @throws {CodedError} ERR_FOLLOW_NOT_READY */
  static async open(options: HoldOptions): Promise<HoldingFollower> {
    const follower = new HoldingFollower(options)
    try {
      await follower.#announce()
      await follower.#known()
      return follower
    } catch (error) {
      await follower.close()
      throw error
    }
  }

  /** The records, in batches; one is acknowledged when the next is asked for (H2). */
  async *lines(): AsyncGenerator<Iterable<RecordOutput | FollowEvent>, void> {
    const { stream, signal } = this.#options
    yield [{ event: 'ready', hold: true }]
    while (!signal.aborted) {
      const frames = this.#consumer.take(takeBytes)
      if (frames.length === 0) {
        await this.#wake.sleep(signal)
        continue
      }
      yield outputsOfAll(stream, frames)
      this.#acknowledge(frames)
    }
  }

  /** Lets the stream go on without it. */
  close(): Promise<void> {
    this.#closed ??= this.#close()
    return this.#closed
  }

  async #close(): Promise<void> {
    const { store, namespace, stream, catalog, onError } = this.#options
    this.#stopRenewing()
    this.#consumer.close()
    try {
      await store.remove(paths.follower(namespace, stream, this.#id))
      await catalog.refresh()
    } catch (error) {
      if ((error as { code?: string }).code !== 'ERR_STORE_NOT_FOUND') onError(error)
    }
  }

  #acknowledge(frames: readonly TakenFrame[]): void {
    for (const frame of frames) this.#consumer.done(frame, frame.header.count - frame.skip)
    this.#consumer.acknowledge()
  }

  /** Listens first, then writes the document, so that nobody waits for one that does not listen. */
  async #announce(): Promise<void> {
    const { stream, catalog } = this.#options
    const partitions = catalog.current.streams.get(stream)?.document.partitions ?? 0
    this.#consumer.own(stream, [...new Array(partitions).keys()])
    await this.#renew()
    this.#renewLater()
    await catalog.refresh()
  }

  async #renew(): Promise<void> {
    const { store, namespace, stream, gatewayId, clock } = this.#options
    const document: FollowerDocument = { schema: 1, gateway: gatewayId, renewedAtMs: clock.nowMs() }
    await upsert(store, paths.follower(namespace, stream, this.#id), () => document)
  }

  #renewLater(): void {
    this.#stopRenewing = this.#options.clock.after(renewEveryMs, () => {
      if (this.#closed !== undefined) return
      void this.#renew()
        .catch(this.#options.onError)
        .finally(() => {
          if (this.#closed === undefined) this.#renewLater()
        })
    })
  }

  async #known(): Promise<void> {
    const { clock, stream, signal } = this.#options
    const untilMs = clock.monotonicMs() + readyWaitMs
    for (;;) {
      const waitsFor = this.#ignorant()
      if (waitsFor === undefined) return
      if (clock.monotonicMs() > untilMs) {
        throw refuse(
          'ERR_FOLLOW_NOT_READY',
          `Cannot hold stream '${stream}' back: ${waitsFor} has not heard of this reader within ${readyWaitMs} ms. Is the scheduler up? \`concord fn inspect\` shows the instances; follow without \`hold\` to read all the same.`,
        )
      }
      await setTimeout(lookEveryMs, undefined, { signal }).catch(() => undefined)
      if (signal.aborted)
        throw refuse('ERR_CLOSING', 'Stopped waiting: the reader has gone, or the gateway stops.')
    }
  }

  /** A producer of the stream that does not wait for this reader yet, in words. */
  #ignorant(): string | undefined {
    const { stream, catalog, heartbeats, ingest } = this.#options
    const name = followerName(this.#id)
    const heeds = (rows: readonly OutputLedger[] | undefined): boolean =>
      rows?.some((row) => row.stream === stream && row.consumer === name) ?? false
    if (!ingest.heeds(stream, name)) return 'this gateway'
    const gateway = heartbeats
      .ofClients()
      .find((beat) => beat.id !== this.#options.gatewayId && !heeds(beat.outputs))
    if (gateway !== undefined) return `gateway ${gateway.id}`
    for (const producer of catalog.current.streams.get(stream)?.producers ?? []) {
      for (const instance of catalog.current.functions.get(producer)?.status?.instances ?? []) {
        if (!mayProduce.has(instance.state)) continue
        const beat = instance.taskId === undefined ? undefined : heartbeats.of(instance.taskId)
        const report = reportOf(beat, instance)
        if (!heeds(report?.outputs)) return `instance ${instance.id}`
      }
    }
    return undefined
  }
}

function* outputsOfAll(stream: string, frames: readonly TakenFrame[]): Generator<RecordOutput> {
  for (const { bytes, header, skip } of frames) yield* outputsOf(stream, bytes, header, skip)
}

/** An instance in another state has no producer; when it gets one, the scheduler tells it of this reader from the start. */
const mayProduce: ReadonlySet<string> = new Set(['starting', 'running', 'draining'])
