/**
 * GoneGateways: settles the accounts of gateways that were killed. The leading gateway asks their receivers, as the
 * scheduler does for instances, and stores the answers.
 *
 *   GG1. A gateway that sends heartbeats is not settled, and none is settled before its receivers could be asked for
 *        `askedMs`.
 *   GG2. The rows of a gateway that has been over for `keptMs` and is silent are added to sums, each once: the sums
 *        name the gateways that they include until their documents are removed.
 *   GG3. Every write is conditional on what was read (DO1), so it cannot undo the work of another leader, or of a
 *        gateway that has returned.
 * Design: docs/design/0003-processes-and-store.md, "What gateways have sent"
 * @module
 */
import { addLedgers } from '../../infra/bus/index.ts'
import type { Clock } from '../../infra/clock.ts'
import {
  encodeGone,
  functionOfConsumer,
  type ReceivedRows,
  settle,
  withRow,
} from '../../infra/control/index.ts'
import type { GoneProducer, OutputLedger } from '../../infra/control/messages/accounts.ts'
import type { Heartbeat } from '../../infra/control/messages/heartbeat.ts'
import type { Log } from '../../infra/log.ts'
import {
  foldedSender,
  paths,
  type SenderDocument,
  type SentDocument,
  type SentRow,
  type Store,
  type StoredDocument,
} from '../../infra/store/index.ts'
import { type CatalogView, descriptorOf } from '../catalog/catalog.ts'
import { asKilled } from '../catalog/sent-before.ts'

const lookEveryMs = 1_000
const silenceMs = 5_000
/** Receivers are asked for at least this long, and further while one of them has records in hand. */
const askedMs = 5_000
const inHandMs = 3_000
const keptMs = 600_000

export interface GoneGatewaysOptions {
  readonly store: Store
  readonly namespace: string
  readonly gatewayId: string
  readonly clock: Clock
  readonly log: Log
  readonly view: () => CatalogView
  /** How long a gateway has been silent. */
  readonly silentMs: (gatewayId: string) => number
  /** Asks all runners. @returns False if there is no connection. */
  readonly ask: (gone: Uint8Array) => boolean
}

interface Asked {
  /** Since when its receivers could be asked. */
  sinceMs: number | undefined
  received: ReceivedRows | undefined
}

export class GoneGateways {
  readonly #options: GoneGatewaysOptions
  readonly #asked = new Map<string, Asked>()

  constructor(options: GoneGatewaysOptions) {
    this.#options = options
  }

  /** Looks for killed gateways at intervals. @returns A function that stops it. */
  start(): () => void {
    const { clock, log } = this.#options
    let ended = false
    let cancel: () => void = () => undefined
    const later = (): void => {
      cancel = clock.after(lookEveryMs, () => {
        void this.look()
          .catch((error: unknown) =>
            log.warn({ err: error }, 'cannot settle what gateways that are gone have sent'),
          )
          .then(() => ended || later())
      })
    }
    later()
    return () => {
      ended = true
      cancel()
      this.#asked.clear()
    }
  }

  hear({ instances }: Heartbeat): void {
    for (const { received = [] } of instances) {
      for (const row of received) {
        const asked = row.name === 'ingest' ? this.#asked.get(String(row.index)) : undefined
        if (asked !== undefined)
          asked.received = withRow(asked.received, row, this.#options.clock.monotonicMs())
      }
    }
  }

  async look(): Promise<void> {
    const { store, namespace, gatewayId, silentMs, clock } = this.#options
    const silent = new Set<string>()
    const old: string[] = []
    for (const id of await store.list(paths.senders(namespace))) {
      if (id === gatewayId || id === foldedSender) continue
      const found = await store.get<SenderDocument>(paths.sender(namespace, id))
      if (found === undefined)
        await this.#removeRows(id) // written after the end
      else if (found.value.state !== 'open' && (await this.#isFolded(id, found))) old.push(id)
      if (found?.value.state !== 'open') continue
      if (silentMs(id) < silenceMs) continue
      silent.add(id)
      const asked = this.#asked.get(id) ?? { sinceMs: undefined, received: undefined }
      this.#asked.set(id, asked)
      if (this.#isKnown(asked)) await this.#settle(id, found, asked.received)
    }
    for (const id of this.#asked.keys()) if (!silent.has(id)) this.#asked.delete(id)
    this.#ask(clock.monotonicMs())
    if (old.length > 0) await this.#fold(old)
  }

  #ask(nowMs: number): void {
    if (this.#asked.size === 0) return
    const gone = [...this.#asked.keys()].map(
      (index): GoneProducer => ({ name: 'ingest', index, firstEpoch: 1, epoch: 1 }),
    )
    if (this.#options.ask(encodeGone(gone))) for (const asked of this.#asked.values()) asked.sinceMs ??= nowMs
  }

  /** Whether a gateway's account can be settled (GG1). */
  #isKnown({ sinceMs, received }: Asked): boolean {
    if (sinceMs === undefined) return false
    const nowMs = this.#options.clock.monotonicMs()
    const parts = [...(received?.values() ?? [])]
    if (parts.some(({ isOpen, heardAtMs }) => isOpen && nowMs < heardAtMs + inHandMs)) return false
    return nowMs >= sinceMs + askedMs
  }

  async #settle(
    id: string,
    found: StoredDocument<SenderDocument>,
    received: ReceivedRows | undefined,
  ): Promise<void> {
    const { store, namespace, clock, view } = this.#options
    const heard = new Set([...(received?.values() ?? [])].map(({ stream }) => stream))
    for (const stream of new Set([...(await this.#streamsOf(id)), ...heard])) {
      const before = await store.get<SentDocument>(paths.sent(namespace, id, stream))
      const known = view().streams.get(stream)
      const topology = new Map(known === undefined ? [] : [[stream, descriptorOf(view(), known)]])
      const rows = [
        ...(before?.value.rows ?? []),
        ...this.#unwritten(stream, before?.value.rows ?? [], received),
      ]
      const settled = rows.map((row) => ({
        // If nothing had been sent by the last write of a row, its receivers know everything.
        ...settle({ ...asKilled(row), parts: row.parts ?? 0 }, received, { topology, isOver: true }),
        createdAtMs: row.createdAtMs,
      }))
      await this.#put(paths.sent(namespace, id, stream), before, { schema: 1, rows: settled })
    }
    await this.#put(paths.sender(namespace, id), found, { schema: 1, state: 'over', atMs: clock.nowMs() })
  }

  /** Rows for functions that it began to send to after its last write, from the receivers' answers. */
  #unwritten(stream: string, rows: readonly SentRow[], received: ReceivedRows | undefined): SentRow[] {
    const heard = [...(received?.values() ?? [])].filter((of) => of.stream === stream)
    const consumers = new Set(heard.map(({ consumer }) => consumer))
    for (const { consumer } of rows) consumers.delete(consumer)
    return [...consumers].flatMap((consumer) => {
      const createdAtMs = this.#createdAtMs(consumer)
      const nothing = { stream, consumer, sent: 0, acked: 0, dropped: {}, unaccounted: 0, parts: 0 }
      return createdAtMs === undefined ? [] : [{ ...nothing, createdAtMs }]
    })
  }

  /** GG2: marks a gateway before its rows are added to the sums, so that it does not write to them any more. */
  async #isFolded(id: string, found: StoredDocument<SenderDocument>): Promise<boolean> {
    const { namespace, clock, silentMs } = this.#options
    const { state, atMs } = found.value
    if (state === 'folded') return true
    if (clock.nowMs() < atMs + keptMs || silentMs(id) < silenceMs) return false
    const marked: SenderDocument = { schema: 1, state: 'folded', atMs: clock.nowMs() }
    await this.#put(paths.sender(namespace, id), found, marked)
    return true
  }

  async #fold(ids: readonly string[]): Promise<void> {
    const { store, namespace } = this.#options
    const byStream = new Map<string, string[]>()
    for (const id of ids)
      for (const stream of await this.#streamsOf(id))
        byStream.set(stream, [...(byStream.get(stream) ?? []), id])
    for (const [stream, senders] of byStream) {
      const path = paths.sent(namespace, foldedSender, stream)
      const before = await store.get<SentDocument>(path)
      const named = before?.value.folded ?? []
      const rows = [...(before?.value.rows ?? [])]
      for (const id of senders.filter((one) => !named.includes(one)))
        rows.push(...((await store.get<SentDocument>(paths.sent(namespace, id, stream)))?.value.rows ?? []))
      await this.#put(path, before, { schema: 1, rows: this.#sums(rows), folded: senders })
    }
    for (const id of ids) {
      await this.#removeRows(id)
      await store.remove(paths.sender(namespace, id))
    }
  }

  async #removeRows(id: string): Promise<void> {
    const { store, namespace } = this.#options
    for (const stream of await this.#streamsOf(id)) await store.remove(paths.sent(namespace, id, stream))
  }

  /** The sums of rows to functions that still exist. */
  #sums(rows: readonly SentRow[]): SentRow[] {
    const sums = new Map<string, SentRow>()
    for (const row of rows) {
      const { consumer, createdAtMs } = row
      if (this.#createdAtMs(consumer) !== createdAtMs) continue
      const sum: OutputLedger = addLedgers(sums.get(consumer), row)
      sums.set(consumer, { ...sum, createdAtMs })
    }
    return [...sums.values()]
  }

  #createdAtMs(consumer: string): number | undefined {
    return this.#options.view().functions.get(functionOfConsumer(consumer))?.document.createdAtMs
  }

  async #streamsOf(id: string): Promise<string[]> {
    const { store, namespace } = this.#options
    return await store.list(paths.sender(namespace, id))
  }

  /** Writes a document if it is as it was read (GG3). */
  async #put(
    path: string,
    before: StoredDocument | undefined,
    document: SenderDocument | SentDocument,
  ): Promise<void> {
    const { store } = this.#options
    if (before === undefined) await store.create(path, document)
    else await store.update(path, document, before.version)
  }
}
