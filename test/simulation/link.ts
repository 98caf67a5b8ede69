/**
 * Link: one subscription of a scheduler to the master: events in one direction, calls in the other, each in order,
 * until it breaks.
 * @module
 */
import type { EngineEvent } from '../../scheduler/engine.ts'
import type { Process } from './loop.ts'
import type { Random } from './random.ts'

export interface LinkOptions {
  readonly client: Process
  readonly master: Process
  readonly random: Random
  readonly wireMs: () => number
  readonly event: (event: EngineEvent) => void
  readonly ended: (why: 'broken' | 'failedOver') => void
}

export class Link {
  isOpen = true
  /** Since when all that was sent has arrived, and the client could answer. */
  idleSinceMs = 0
  readonly #options: LinkOptions
  #clientMs = 0
  #masterMs = 0

  constructor(options: LinkOptions) {
    this.#options = options
  }

  toClient(event: EngineEvent): void {
    const { client, random, wireMs } = this.#options
    const nowMs = client.loop.nowMs()
    this.#clientMs = Math.max(this.#clientMs, nowMs + random.delayMs(wireMs()))
    client.after(this.#clientMs - nowMs, () => {
      if (!this.isOpen) return
      this.idleSinceMs = client.loop.nowMs()
      this.#options.event(event)
    })
  }

  toMaster(run: () => void): void {
    const { master, random, wireMs } = this.#options
    const nowMs = master.loop.nowMs()
    this.#masterMs = Math.max(this.#masterMs, nowMs + random.delayMs(wireMs()))
    master.after(this.#masterMs - nowMs, () => {
      if (this.isOpen) run()
    })
  }

  /** @param noticedMs When the client sees that it is broken. */
  break(noticedMs = 0): void {
    this.#end('broken', noticedMs)
  }

  /** Another one has subscribed in its place. */
  failedOver(): void {
    this.#end('failedOver', this.#options.random.delayMs(this.#options.wireMs()))
  }

  #end(why: 'broken' | 'failedOver', noticedMs: number): void {
    if (!this.isOpen) return
    this.isOpen = false
    this.#options.client.after(noticedMs, () => this.#options.ended(why))
  }
}
