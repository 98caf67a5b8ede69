/**
 * Milestones: how far everything that a producer has taken is, and who waits for it to be there.
 *
 *   milestone   reached when everything taken …                       waits                         asks meanwhile
 *   ready       leaves room in the stream for more                    a sender                      the server (CF2)
 *   sent        was sent at least once, to an owner of each           an instance that leaves       nobody
 *               consumer that it waits for
 *   accepted    before the call is with the owners downstream, in     a share, before it is given   the server; the owners, once,
 *               order; of what queues, what has left its queue    to another instance           as soon as it was sent
 *               (MS2)
 *   safe        before the call is with the owners downstream, in     acknowledging the inputs      owners that are silent (MS1)
 *               order; what queues is stored
 *   settled     is acknowledged by all consumers that it waits for    a sender that ends            the server (CF2)
 *
 *  MS1. Owners say with each batch what they have accepted. One that is silent for `askFirstMs` is busy with a long batch, and
 *       is asked by a beacon, which it answers at once; again after ever longer pauses.
 *  MS2. What queues holds nobody back: the owners of lanes have `laneWaitMs` to accept what was sent. Longer takes one that has
 *       ended, one whose connection or the producer's own is away, or one that waits itself, in a cycle of functions, for the very
 *       share that waits for it. Then the order towards that reader may change; nothing is lost.
 * Design: docs/design/0002-channels.md
 * @module
 */
import type { Clock } from '../../clock.ts'
import { waitIn, wake } from '../wire/waiters.ts'
import type { OutPartition } from './out-partition.ts'
import { bufferedBytes, eachPart, type OutStream, partsOf, unsafeOf } from './out-stream.ts'

/** Bytes held and retained for one stream beyond which it has no room. */
const bufferBytesMaxDefault = 8 * 1024 * 1024
const askFirstMs = 20
const askLastMs = 2_000
const laneWaitMs = 500

export interface MilestonesOptions {
  readonly clock: Clock
  readonly streams: ReadonlyMap<string, OutStream>
  readonly bufferBytesMax?: number | undefined
  /** Asks the owners of a partition what they have accepted. */
  readonly ask: (out: OutPartition) => void
  /** Asks the server what it has read. */
  readonly confirm: () => void
}

export class Milestones {
  readonly #options: MilestonesOptions
  readonly #bufferBytesMax: number
  readonly #ready = new Map<OutStream, Set<() => void>>()
  readonly #sent = new Set<() => void>()
  readonly #accepted = new Set<() => void>()
  readonly #safe = new Set<() => void>()
  readonly #settled = new Set<() => void>()
  /** Up to which record the owners of a partition were last asked what they have accepted. */
  readonly #asked = new Map<OutPartition, number>()
  #closed = false

  constructor(options: MilestonesOptions) {
    this.#options = options
    this.#bufferBytesMax = options.bufferBytesMax ?? bufferBytesMaxDefault
  }

  hasRoom(stream: OutStream): boolean {
    return bufferedBytes(stream) < this.#bufferBytesMax
  }

  async ready(stream: OutStream, signal?: AbortSignal): Promise<void> {
    const waiters = this.#ready.get(stream) ?? new Set()
    this.#ready.set(stream, waiters)
    while (!this.hasRoom(stream) && !this.#closed) {
      this.#options.confirm()
      await waitIn(waiters, signal)
    }
  }

  get heldBytes(): number {
    let bytes = 0
    for (const stream of this.#options.streams.values())
      eachPart(stream, (out) => {
        bytes += out.heldBytes
      })
    return bytes
  }

  get isSent(): boolean {
    for (const stream of this.#options.streams.values())
      for (const out of partsOf(stream)) if (!out.isSent) return false
    return true
  }

  async sent(signal?: AbortSignal): Promise<void> {
    while (!this.isSent && !this.#closed) await waitIn(this.#sent, signal)
  }

  async accepted(signal?: AbortSignal): Promise<void> {
    const { clock, streams, ask, confirm } = this.#options
    const open = new Map<OutPartition, number>()
    for (const stream of streams.values()) for (const out of partsOf(stream)) open.set(out, out.next)
    const cancel = clock.after(laneWaitMs, () => {
      for (const out of open.keys()) if (out.consumer !== undefined) open.delete(out)
      wake(this.#accepted)
    })
    try {
      for (;;) {
        for (const [out, mark] of open) {
          if (out.acceptedThrough(mark)) open.delete(out)
          else if (out.sent >= mark && (this.#asked.get(out) ?? 0) < mark) {
            this.#asked.set(out, out.sent) // once for all that wait
            ask(out)
          }
        }
        if (open.size === 0 || this.#closed) return
        confirm()
        await waitIn(this.#accepted, signal)
      }
    } finally {
      cancel()
    }
  }

  get isSafe(): boolean {
    return unsafeOf(this.#options.streams.values()).length === 0
  }

  /** @returns Whether it was reached; false: it was closed before. @throws the signal's reason */
  async safe(signal?: AbortSignal): Promise<boolean> {
    const { clock, streams, ask } = this.#options
    const open = unsafeOf(streams.values())
    let askMs = askFirstMs
    const askLater = (): (() => void) =>
      clock.after(askMs, () => {
        for (const { out, mark } of open) if (!out.safeThrough(mark)) ask(out)
        askMs = Math.min(2 * askMs, askLastMs)
        cancel = askLater()
      })
    let cancel = askLater()
    try {
      for (;;) {
        while (open.length > 0 && open.at(-1)!.out.safeThrough(open.at(-1)!.mark)) open.pop()
        if (open.length === 0) return true
        if (this.#closed) return false
        await waitIn(this.#safe, signal)
      }
    } finally {
      cancel()
    }
  }

  get isSettled(): boolean {
    for (const stream of this.#options.streams.values())
      for (const out of partsOf(stream)) if (!out.settled) return false
    return true
  }

  get unsettledRecords(): number {
    let records = 0
    for (const stream of this.#options.streams.values())
      for (const out of partsOf(stream)) records += out.unsettled
    return records
  }

  async settled(signal?: AbortSignal): Promise<void> {
    while (!this.isSettled && !this.#closed) {
      this.#options.confirm()
      await waitIn(this.#settled, signal)
    }
  }

  /** Somebody waits for what the server says. */
  get awaitsServer(): boolean {
    if (this.#accepted.size > 0 || this.#settled.size > 0) return true
    for (const waiters of this.#ready.values()) if (waiters.size > 0) return true
    return false
  }

  /** Wakes who waits: something has moved. */
  look(): void {
    for (const [stream, waiters] of this.#ready) if (waiters.size > 0 && this.hasRoom(stream)) wake(waiters)
    if (this.#sent.size > 0 && this.isSent) wake(this.#sent)
    if (this.#accepted.size > 0) wake(this.#accepted)
    if (this.#safe.size > 0) wake(this.#safe)
    if (this.#settled.size > 0 && this.isSettled) wake(this.#settled)
  }

  /** Wakes who waits, for the last time. */
  close(): void {
    this.#closed = true
    const all = [...this.#ready.values(), this.#sent, this.#accepted, this.#safe, this.#settled]
    for (const waiters of all) wake(waiters)
  }
}
