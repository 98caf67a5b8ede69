/**
 * Memory: the memory of the process by account, its bound, and whether there is room for more.
 *
 *   ME1. The accounts, with `rest`, add up to the resident memory, or to more where allocated memory is not touched yet.
 *   ME2. Before a request is refused, memory that was kept for reuse is given back.
 *   ME3. A refusal names the bound, what is in use by account, and what to set.
 * @module
 */
import { dropKeptMemory } from '../../infra/bus/index.ts'
import type { Clock } from '../../infra/clock.ts'
import type { FunctionAssignment } from '../../infra/control/messages/assignment.ts'
import { memoryUsage, residentBytes } from '../../infra/memory-usage.ts'
import { accountsText } from '../../sdk/api/memory.ts'
import type { MemoryReport } from '../../sdk/api/memory-schema.ts'
import { instancesPerRunnerOf } from '../../sdk/manifest/manifest.ts'
import { isolateMemory, type ResidentMemory, type StateStore } from '../isolate/index.ts'
import { findCollector } from './garbage.ts'

/** Collecting takes some milliseconds, in which records wait. */
const giveBackEveryMs = 10_000
/** The advised size is a multiple of this, and at least half of it stays free. */
const stepMib = 32

/** A part of the memory bound, for something that needs memory beside the instances. */
export interface Room extends ResidentMemory {
  /** @returns Why there is no room for so many bytes more, and what to set; undefined: there is. */
  lacks(bytes: number): string | undefined
}

/** The setting that gives the process its memory, for advice. */
export interface Sized {
  readonly name: string
  /** Memory of an instance, and how many instances a runner is made for. */
  readonly memMib: number
  readonly seats: number
}

export interface MemoryOptions {
  readonly memMib: number
  readonly clock: Pick<Clock, 'monotonicMs'>
  readonly workers: ReadonlyMap<string, Holder>
  readonly assetBytes: () => number
  /** Resident; default: this process. */
  readonly bytes?: () => number
}

/** An instance at work. */
interface Holder {
  readonly tape: { readonly bytes: number }
  readonly running: { readonly isolate: { readonly state: Pick<StateStore, 'heldBytes' | 'spareBytes'> } }
}

export class Memory implements ResidentMemory {
  readonly bytesMax: number
  readonly bytes: () => number
  readonly #options: MemoryOptions
  /** Memory of the process at its start, without its heap. */
  readonly #bareBytes: number
  readonly #collectGarbage = findCollector()
  #givenBackMs = Number.NEGATIVE_INFINITY

  constructor(options: MemoryOptions) {
    const { rss, heapTotal, arrayBuffers } = memoryUsage()
    this.#options = options
    this.bytes = options.bytes ?? residentBytes
    this.bytesMax = options.memMib * 2 ** 20
    this.#bareBytes = Math.max(0, rss - heapTotal - arrayBuffers)
  }

  report(): { readonly rssBytes: number; readonly memory: MemoryReport } {
    const { rss, heapTotal, arrayBuffers } = memoryUsage()
    const { heapBytes, regionBytes } = isolateMemory()
    let [state, tape] = [0, 0]
    for (const worker of this.#options.workers.values()) {
      const { heldBytes, spareBytes } = worker.running.isolate.state
      state += heldBytes + spareBytes
      tape += worker.tape.bytes
    }
    const assets = this.#options.assetBytes()
    const known = { process: this.#bareBytes + heapTotal, isolates: heapBytes, state, tape, assets }
    const buffers = Math.max(0, arrayBuffers - state - tape - assets - regionBytes)
    const said = Object.values(known).reduce((sum, bytes) => sum + bytes, buffers)
    const accounts = { ...known, buffers, rest: Math.max(0, rss - said) }
    return { rssBytes: rss, memory: { boundBytes: this.bytesMax, accounts } }
  }

  /** @param share The part of the bound that may be filled. @param fn The function for which it is. */
  roomFor(fn: Pick<FunctionAssignment, 'function' | 'manifest'>, share: number): Room {
    return {
      bytes: this.bytes,
      bytesMax: this.bytesMax * share,
      lacks: (bytes) =>
        this.makeRoom(bytes, share)
          ? undefined
          : lackText({ ...this.told(fn, share), usedBytes: this.bytes(), bytes }),
    }
  }

  /** ME2. @returns Whether there is room for so many bytes more. */
  makeRoom(bytes: number, share: number): boolean {
    const fits = (): boolean => this.bytes() + bytes <= this.bytesMax * share
    return fits() || (this.giveBack() && fits())
  }

  /** ME3, for a process that is full. @param share The part of the bound up to which it had better be filled. */
  fullText(fn: Pick<FunctionAssignment, 'function' | 'manifest'>, share: number): string {
    const lack = { ...this.told(fn, share), usedBytes: this.bytes(), bytes: 0 }
    const [used, bound] = [lack.usedBytes, lack.bytesMax].map((bytes) => Math.round(bytes / 2 ** 20))
    return `memory is short: the runner uses ${used} MiB (${lack.accounts}) of its bound of ${bound}, and is slowed down: ${adviceOf(lack)}`
  }

  /** The same as data for another thread; see `roomIn`. */
  told(fn: Pick<FunctionAssignment, 'function' | 'manifest'>, share: number): ToldMemory {
    const accounts = accountsText(this.report().memory)
    return { share, bytesMax: this.bytesMax, accounts, sized: sizedOf(fn) }
  }

  /** Gives back memory that was kept for reuse, and collects garbage. @returns False if it was done less than `everyMs` before. */
  giveBack(everyMs = giveBackEveryMs): boolean {
    const nowMs = this.#options.clock.monotonicMs()
    if (nowMs - this.#givenBackMs < everyMs) return false
    this.#givenBackMs = nowMs
    dropKeptMemory()
    this.#collectGarbage()
    return true
  }
}

function sizedOf({ function: name, manifest }: Pick<FunctionAssignment, 'function' | 'manifest'>): Sized {
  return { name, memMib: manifest.resources.memMib, seats: instancesPerRunnerOf(manifest) ?? 1 }
}

/** A part of the bound, what was in use by account, and the setting. */
export interface ToldMemory {
  readonly share: number
  readonly bytesMax: number
  readonly accounts: string
  readonly sized: Sized
}

export interface Lack extends ToldMemory {
  readonly usedBytes: number
  /** The bytes for which there is no room. */
  readonly bytes: number
}

/** The room as another thread sees it, which cannot give back the kept memory of this one. */
export function roomIn(told: ToldMemory): Room {
  const bytes = residentBytes
  const bytesMax = told.bytesMax * told.share
  const lacks = (more: number): string | undefined => {
    const usedBytes = bytes()
    return usedBytes + more <= bytesMax ? undefined : lackText({ ...told, usedBytes, bytes: more })
  }
  return { bytes, bytesMax, lacks }
}

/** ME3. */
export function lackText(lack: Lack): string {
  const { usedBytes, share, bytesMax, accounts } = lack
  const [used, may, bound] = [usedBytes, bytesMax * share, bytesMax].map((value) =>
    Math.round(value / 2 ** 20),
  )
  return (
    `the runner uses ${used} MiB (${accounts}) of its bound of ${bound}, of which it may fill ${may} with this: ` +
    adviceOf(lack)
  )
}

/** What to set. */
function adviceOf({ usedBytes, bytes, share, bytesMax, sized: { name, memMib, seats } }: Lack): string {
  const lackMib = ((usedBytes + bytes) / share - bytesMax) / 2 ** 20
  const enough = Math.ceil((memMib + lackMib / seats + stepMib / 2) / stepMib) * stepMib
  return `give each instance ${enough} MiB, by \`concord fn scale ${name} --mem ${enough}\` or resources.memMib`
}
