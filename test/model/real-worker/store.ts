/**
 * MemoryStore: a checkpoint store in memory that is full, and refuses everything but claims, or goes silent: what is asked then is
 * answered when it speaks again, or fails after its time limit, and now and then it was done although nobody was told.
 * @module
 */
import { setImmediate as turn } from 'node:timers/promises'
import type {
  CheckpointManifest,
  CheckpointStore,
  SegmentId,
  StoredManifest,
} from '../../../infra/checkpoints/index.ts'
import type { Clock } from '../../../infra/clock.ts'
import { infraError } from '../../../infra/errors.ts'
import type { Random } from '../../simulation/random.ts'

export const timeoutMs = 30_000

type StoredPart = NonNullable<Awaited<ReturnType<CheckpointStore['getPart']>>>

export class MemoryStore {
  readonly #clock: Clock
  readonly #random: Random
  readonly #manifests = new Map<string, StoredManifest>()
  readonly #parts = new Map<string, StoredPart>()
  #revision = 0
  #isFull = false
  #isSilent = false
  /** Whether it has ever been full or silent. */
  hasFailed = false
  readonly #waiting = new Set<() => void>()

  constructor(clock: Clock, random: Random) {
    this.#clock = clock
    this.#random = random
  }

  get isFull(): boolean {
    return this.#isFull
  }

  set isFull(isFull: boolean) {
    this.#isFull = isFull
    this.hasFailed ||= isFull
  }

  /** Whether what is asked for while it is silent is done all the same. */
  get isLucky(): boolean {
    return this.#random.chance(1 / 3) && !this.#isFull
  }

  /** Resolves when it is not silent. */
  async spoken(): Promise<void> {
    if (this.#isSilent) await new Promise<void>((resolve) => this.#waiting.add(resolve))
  }

  get isSilent(): boolean {
    return this.#isSilent
  }

  set isSilent(isSilent: boolean) {
    this.#isSilent = isSilent
    this.hasFailed ||= isSilent
    if (isSilent) return
    for (const goOn of this.#waiting) goOn()
    this.#waiting.clear()
  }

  /** As one runner has it. @param isKilled Then nothing of its is done any more, and it hears nothing. */
  connect(isKilled: () => boolean): CheckpointStore {
    const ask = <T>(action: () => T): Promise<T> => this.#ask(action, isKilled)
    return {
      readManifest: (slot) => ask(() => structuredClone(this.#manifests.get(slot))),
      writeManifest: (slot, manifest, before) => {
        const copy = structuredClone(manifest)
        return ask(() => this.#write(slot, { manifest: copy, revision: before }))
      },
      putPart: (slot, segment, index, message) => {
        const copy = message.slice()
        return ask(() => {
          this.#mustHaveRoom()
          const sequence = ++this.#revision
          this.#parts.set(nameOf(slot, segment, index), { message: copy, sequence })
          return sequence
        })
      },
      getPart: (slot, segment, index) => ask(() => this.#parts.get(nameOf(slot, segment, index))),
      remove: (sequences) =>
        ask(() => {
          for (const [name, { sequence }] of this.#parts)
            if (sequences.includes(sequence)) this.#parts.delete(name)
        }),
      removeStrays: () => Promise.resolve(0),
    }
  }

  async #ask<T>(action: () => T, isKilled: () => boolean): Promise<T> {
    if (this.#isSilent) {
      if (this.isLucky && !isKilled()) action()
      const { promise, resolve, reject } = Promise.withResolvers<void>()
      this.#waiting.add(resolve)
      const cancel = this.#clock.after(timeoutMs, () =>
        reject(infraError('ERR_CHECKPOINT_STORE', 'the store gives no answer')),
      )
      await promise.finally(cancel)
    }
    await turn()
    if (isKilled()) return await new Promise<T>(() => undefined)
    return action()
  }

  #mustHaveRoom(): void {
    if (this.isFull) throw infraError('ERR_CHECKPOINT_STORE', 'the store is full')
  }

  /** Who writes what is there already has written it, and was not told. */
  #write(slot: string, { manifest, revision }: StoredManifest): number {
    const now = this.#manifests.get(slot)
    if (now !== undefined && JSON.stringify(now.manifest) === JSON.stringify(manifest)) return now.revision
    if (isChanged(now?.manifest, manifest)) this.#mustHaveRoom()
    if ((now?.revision ?? 0) !== revision)
      throw infraError('ERR_CHECKPOINT_SUPERSEDED', 'another was written')
    this.#manifests.set(slot, { manifest, revision: ++this.#revision })
    return this.#revision
  }
}

/** A claim changes nothing: without one an instance does not begin. */
function isChanged(before: CheckpointManifest | undefined, { current }: CheckpointManifest): boolean {
  return JSON.stringify(before?.current) !== JSON.stringify(current)
}

function nameOf(slot: string, { epoch, number }: SegmentId, index: number): string {
  return `${slot}/${epoch}-${number}/${index}`
}
