/**
 * Holding follower: a reader over HTTP that the stream waits for, so that it misses nothing.
 *
 * It is a consumer like a function, under the name `follower.ID`; producers learn of it by its document in the store.
 *   H1. `ready` is sent once every running producer of the stream, and every gateway, is known to wait for it.
 *   H2. A frame is acknowledged when its lines were written to the socket and the socket asked for more.
 *   H3. If the client ends the reading, the document is removed. If this process ends, the stream waits until the
 *       scheduler removes the document; meanwhile another reader may continue for this one (H4).
 *   H4. A reader that continues for another one gets everything that was not acknowledged. The old document is
 *       removed once every producer knows the new reader.
 *   H5. A document names the readers that continue for it (`keptBy`). The last of them that is known to all producers
 *       removes it, and nobody else. A reader that finds its own document taken over, or gone, ends: its client reads
 *       elsewhere.
 * Design: docs/design/0002-channels.md, "A reader whose gateway is gone"
 * @module
 */
import { randomBytes } from 'node:crypto'
import { setTimeout } from 'node:timers/promises'
import { Consumer, type TakenFrame, type Wire } from '../../infra/bus/index.ts'
import type { Clock } from '../../infra/clock.ts'
import { followerName } from '../../infra/control/index.ts'
import type { OutputLedger } from '../../infra/control/messages/accounts.ts'
import { type FollowerDocument, paths, type Store, upsert } from '../../infra/store/index.ts'
import type { FollowEvent, RecordOutput } from '../../sdk/api/index.ts'
import { isCode } from '../../sdk/errors.ts'
import type { Catalog } from '../catalog/catalog.ts'
import { type Heartbeats, reportOf } from '../catalog/heartbeats.ts'
import { refuse } from '../errors.ts'
import type { Ingest } from '../ingest/ingest.ts'
import { outputsOf } from './encode.ts'
import { Wake } from './wake.ts'

const readyWaitMs = 20_000
/**
 * The scheduler removes a document that was not renewed for 11 s. Not more often: each renewal makes the scheduler
 * and all gateways read the store.
 */
const renewEveryMs = 3000
const lookEveryMs = 50
/** A gateway that was silent for this long is not waited for (H1). */
const goneAfterMs = 5000
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
  /** Aborted when the gateway stops. */
  readonly closing: AbortSignal
  /** The id of the client's earlier reader, whose connection broke. */
  readonly instead?: string | undefined
  readonly onError: (error: unknown) => void
}

export class HoldingFollower {
  readonly #options: HoldOptions
  readonly #id = randomBytes(8).toString('hex')
  readonly #wake = new Wake()
  readonly #consumer: Consumer
  #stopRenewing: () => void = () => undefined
  #closed: Promise<void> | undefined
  #resumed = false
  #announced = false
  /** The removal of the earlier reader's document, which waits until this one is known (H4). */
  #dropping: Promise<void> | undefined
  /** Aborted when another reader has taken over its document (H5). */
  readonly #passedOn = new AbortController()

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

  /**
   * Announces the reader and waits until it is known (H1), unless it continues for another (H4).
   * @throws {CodedError} ERR_FOLLOW_NOT_READY
   */
  static async open(options: HoldOptions): Promise<HoldingFollower> {
    const follower = new HoldingFollower(options)
    try {
      follower.#resumed = await follower.#keepFormer()
      await follower.#announce()
      if (follower.#resumed) follower.#dropping = follower.#dropFormer().catch(options.onError)
      else await follower.#known()
      return follower
    } catch (error) {
      await follower.close()
      throw error
    }
  }

  /** The records in batches. A batch is acknowledged when the next is requested (H2). */
  async *lines(): AsyncGenerator<Iterable<RecordOutput | FollowEvent>, void> {
    const { stream } = this.#options
    const signal = AbortSignal.any([this.#options.signal, this.#passedOn.signal])
    yield [{ event: 'ready', hold: true, reader: this.#id, resumed: this.#resumed }]
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

  /** Ends the reader: the stream no longer waits for it. */
  close(): Promise<void> {
    this.#closed ??= this.#close()
    return this.#closed
  }

  async #close(): Promise<void> {
    const { catalog, closing, onError } = this.#options
    this.#stopRenewing()
    this.#consumer.close()
    await this.#dropping
    if (closing.aborted) return
    try {
      await this.#remove(this.#id)
      await catalog.refresh()
    } catch (error) {
      onError(error)
    }
  }

  /**
   * Removes a reader's document, for itself or for one that continues for it, unless others continue for it too (H5).
   * @param isLeft Keep the document until it is overdue, because the client may come back.
   */
  async #remove(id: string, keeper?: string, isLeft = false): Promise<void> {
    const { store } = this.#options
    const path = this.#path(id)
    for (;;) {
      const found = await store.get<FollowerDocument>(path)
      const { keptBy } = found?.value ?? {}
      // Taken over once, it is not its reader's any more, also when all that continued for it have left.
      if (found === undefined || (keeper === undefined && keptBy !== undefined)) return
      const others = (keptBy ?? []).filter((one) => one !== keeper)
      try {
        if (others.length === 0 && !isLeft) return await store.remove(path, found.version)
        return void (await store.update(path, { ...found.value, keptBy: others }, found.version))
      } catch (error) {
        if (!isCode(error, 'ERR_STORE_CONFLICT', 'ERR_STORE_NOT_FOUND')) throw error
      }
    }
  }

  #path(id: string): string {
    const { namespace, stream } = this.#options
    return paths.follower(namespace, stream, id)
  }

  #acknowledge(frames: readonly TakenFrame[]): void {
    for (const frame of frames) this.#consumer.done(frame, frame.header.count - frame.skip)
    this.#consumer.acknowledge()
  }

  /** Keeps the document of the earlier reader until this one is known (H5). @returns False if it is gone. */
  async #keepFormer(): Promise<boolean> {
    const { store, instead, gatewayId, clock } = this.#options
    if (instead === undefined) return false
    const path = this.#path(instead)
    for (;;) {
      const found = await store.get<FollowerDocument>(path)
      const { keptBy: before = [] } = found?.value ?? {}
      if (found === undefined || (this.#resumed && !before.includes(this.#id))) return false
      const keptBy = [...before.filter((id) => id !== this.#id), this.#id]
      const kept: FollowerDocument = {
        ...found.value,
        ...{ gateway: gatewayId, renewedAtMs: clock.nowMs(), keptBy },
      }
      try {
        await store.update(path, kept, found.version)
        return true
      } catch (error) {
        if (!isCode(error, 'ERR_STORE_CONFLICT', 'ERR_STORE_NOT_FOUND')) throw error
      }
    }
  }

  async #dropFormer(): Promise<void> {
    const { signal, closing, instead } = this.#options
    try {
      await this.#known().catch(() => undefined) // a producer that does not know it by then has no records for it
      if (!closing.aborted) await this.#remove(instead!, this.#id, signal.aborted)
    } finally {
      this.#dropping = undefined
    }
  }

  /** Subscribes before it writes the document, so that no producer waits for a reader that does not listen. */
  async #announce(): Promise<void> {
    const { stream, catalog } = this.#options
    const partitions = catalog.current.streams.get(stream)?.document.partitions ?? 0
    this.#consumer.own(stream, [...new Array(partitions).keys()])
    await this.#renew()
    this.#renewLater()
    await catalog.refresh()
  }

  async #renew(): Promise<void> {
    const { store, gatewayId, clock, instead } = this.#options
    const document: FollowerDocument = {
      ...{ schema: 1, gateway: gatewayId, renewedAtMs: clock.nowMs() },
      ...(instead !== undefined && { instead }),
    }
    await upsert<FollowerDocument>(store, this.#path(this.#id), (before) => {
      const isOwn = before === undefined ? !this.#announced : before.keptBy === undefined
      if (!isOwn) this.#passedOn.abort()
      this.#passedOn.signal.throwIfAborted()
      return document
    })
    this.#announced = true
    if (this.#dropping !== undefined) await this.#keepFormer()
  }

  #renewLater(): void {
    this.#stopRenewing = this.#options.clock.after(renewEveryMs, () => {
      if (this.#closed !== undefined) return
      void this.#renew()
        .catch((error) => this.#passedOn.signal.aborted || this.#options.onError(error))
        .finally(() => {
          if (this.#closed === undefined && !this.#passedOn.signal.aborted) this.#renewLater()
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
          `Cannot hold stream '${stream}' back: ${waitsFor} has not heard of this reader within ${readyWaitMs} ms. Is the scheduler up? \`concord fn ls\` shows which functions run; follow without \`hold\` to read all the same.`,
        )
      }
      await setTimeout(lookEveryMs, undefined, { signal }).catch(() => undefined)
      if (signal.aborted)
        throw refuse('ERR_CLOSING', 'Stopped waiting: the reader has gone, or the gateway stops.')
    }
  }

  /** Names a producer of the stream that does not wait for this reader yet. */
  #ignorant(): string | undefined {
    const { stream, catalog, heartbeats, ingest } = this.#options
    const name = followerName(this.#id)
    const heeds = (rows: readonly OutputLedger[] | undefined): boolean =>
      rows?.some((row) => row.stream === stream && row.consumer === name) ?? false
    if (!ingest.heeds(stream, name)) return 'this gateway'
    const gateway = heartbeats
      .ofClients()
      .find(
        ({ id, outputs }) =>
          id !== this.#options.gatewayId && heartbeats.silentMs(id) < goneAfterMs && !heeds(outputs),
      )
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

/**
 * Instances in other states have no producer. When they get one, the scheduler tells it about this reader from the
 * start.
 */
const mayProduce: ReadonlySet<string> = new Set(['starting', 'running', 'draining'])
