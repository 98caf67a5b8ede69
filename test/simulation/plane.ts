/**
 * Plane: the data plane. Each share of a function has a source, which serves the owner that claimed it at the highest
 * epoch, and a sink for the outputs. This is the small model of 0002 and 0011; the large one, with the real channels,
 * is test/model.
 *
 *   PN1. Records sent to an owner and not acknowledged are not sent to the next owner, unless the share was handed
 *        over: then the next one continues where the giver stopped.
 *   PN2. The sink refuses outputs of a slot below the epoch of its fence.
 *   PN3. No effect of an owner with a past epoch is accepted (I8): no record twice, and none after those of a higher
 *        epoch.
 * @module
 */
import type { Bug } from './bugs.ts'
import { must } from './violation.ts'

/** How many records may be under way to an owner. */
const window = 4

export interface Owner {
  /** Asks for a record to be processed. */
  receive(functionName: string, share: number, sequence: number): void
  readonly name: string
}

interface Source {
  /** Of the owner that it serves. */
  epoch: number
  owner: Owner | undefined
  next: number
  acknowledged: number
  /** What was accepted of it: the last sequence, and the epoch of the share under which. */
  accepted: number
  acceptedEpoch: number
}

export interface Output {
  readonly function: string
  readonly share: number
  readonly sequence: number
  /** Under which its owner has claimed the share. */
  readonly shareEpoch: number
  /** The slot that it comes from, at which epoch. */
  readonly index: number
  readonly epoch: number
}

export class Plane {
  readonly #sources = new Map<string, Source>()
  readonly #fences = new Map<string, number>()
  readonly #bugs: ReadonlySet<Bug>
  accepted = 0
  refused = 0

  constructor(bugs: ReadonlySet<Bug>) {
    this.#bugs = bugs
  }

  /**
   * An owner claims a share.
   * @param left Where its giver left off.
   * @returns Where it begins; undefined if somebody has claimed it at a higher epoch.
   */
  claim(functionName: string, share: number, epoch: number, owner: Owner, left?: number): number | undefined {
    const source = this.#source(functionName, share)
    if (epoch < source.epoch) return undefined
    if (epoch === source.epoch) {
      must(source.owner === owner, 'CC3', () => `${functionName}/${share}: two owners at epoch ${epoch}`)
      return source.acknowledged
    }
    source.epoch = epoch
    source.owner = owner
    if (left !== undefined) source.next = left + 1
    source.acknowledged = source.next - 1
    return source.acknowledged
  }

  /** Sends the owner of a share its next record, or again what it has not acknowledged. */
  send(functionName: string, share: number): void {
    const source = this.#source(functionName, share)
    if (source.owner === undefined) return
    if (source.next - source.acknowledged <= window) source.owner.receive(functionName, share, source.next++)
    else source.owner.receive(functionName, share, source.acknowledged + 1)
  }

  fence(functionName: string, index: number, epoch: number): void {
    const key = `${functionName}-${index}`
    this.#fences.set(key, Math.max(epoch, this.#fences.get(key) ?? 0))
  }

  /** @returns Whether it was accepted. */
  accept(output: Output): boolean {
    const { function: name, share, sequence, shareEpoch, index, epoch } = output
    const isFenced = epoch < (this.#fences.get(`${name}-${index}`) ?? 0)
    if (isFenced && !this.#bugs.has('no-epoch-check')) {
      this.refused += 1
      return false
    }
    const source = this.#source(name, share)
    const what = (): string =>
      `record ${sequence} of ${name}/${share} from ${name}-${index} at epoch ${shareEpoch}`
    must(
      shareEpoch >= source.acceptedEpoch,
      'I8',
      () => `${what()} is accepted after epoch ${source.acceptedEpoch}`,
    )
    must(sequence > source.accepted, 'I8', () => `${what()} is accepted although ${source.accepted} was`)
    source.accepted = sequence
    source.acceptedEpoch = shareEpoch
    if (source.epoch === shareEpoch) source.acknowledged = Math.max(source.acknowledged, sequence)
    this.accepted += 1
    return true
  }

  #source(functionName: string, share: number): Source {
    const key = `${functionName}/${share}`
    let source = this.#sources.get(key)
    if (source === undefined) {
      source = { epoch: 0, owner: undefined, next: 1, acknowledged: 0, accepted: 0, acceptedEpoch: 0 }
      this.#sources.set(key, source)
    }
    return source
  }
}
