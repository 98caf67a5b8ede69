/**
 * Bottleneck: who holds a stream up, from what waits where and from how each reader spends its time. Pure.
 *
 *   BK1. Who has time to spare is not named, however late its records are: a stream that has a slow reader keeps the records of all
 *        of its readers waiting.
 *   BK2. Who waits for its own readers is not named but they are, and so on: the last one is to blame. That one waits does not
 *        always show: its input stops while its outputs are not accepted, which looks as if there was none. So whoever has time to
 *        spare may wait for those behind it, of which the busiest is to blame, or one without an owner.
 *   BK3. Where it is not known how a reader spends its time, it counts as held up if its own readers are late, and as slow if more
 *        waits for it than for the others.
 *   BK4. Something late always has somebody named: if nobody is at work on it, whoever it waits for, as `stuck`.
 *   BK5. Each reader is looked behind once, and asked once how it spends its time, however many ways lead to it: of several ways to
 *        the same records, only the shortest is kept at each reader, or they would double with each hop.
 * Design: docs/design/0038-who-can-know.md, "Who holds a pipeline up"
 * @module
 */

/** Records of an input that wait for a reader. */
export interface Waiting {
  readonly stream: string
  readonly records: number
  /** How long the oldest has waited; undefined: not known. */
  readonly lagMs: number | undefined
  /** It has a queue of its own, so nobody waits for it. */
  readonly queues: boolean
}

/** A function, or a reader outside that the stream waits for. */
export interface PipelineReader {
  readonly name: string
  /** Some of its partitions have no owner. */
  readonly isAbsent: boolean
  /** How it has spent its time lately: shares of 1, `busy` that of its busiest instance; undefined: not known. Asked only if needed. */
  readonly time: { readonly busy: number; readonly blocked: number } | undefined
  readonly inputs: readonly Waiting[]
  readonly outputs: readonly string[]
}

export type Cause = 'absent' | 'slow' | 'stuck'

export interface Bottleneck {
  /** The stream that it holds up. */
  readonly stream: string
  /** The readers between, from the first, which reads the stream. */
  readonly via: readonly string[]
  readonly reader: string
  /** Its own input; `stream`, if nobody is between. */
  readonly waiting: Waiting
  readonly cause: Cause
}

/** A reader is late once a record has waited for it this long. */
const lateMs = 10_000
/** Who waits for its readers for a larger share of its time could do more than they let it. */
const blockedShare = 0.05
/** Who works for a smaller share of its time has time to spare. */
const busyShare = 0.5
/** Who works so much less than another one that may hold the same stream up has time to spare. */
const busyMargin = 0.15

/**
 * Who holds these streams up, each once.
 * @param asked The function on whose behalf this is asked: of it, queues count too.
 */
export function bottlenecks(
  streams: readonly string[],
  readers: readonly PipelineReader[],
  asked?: string,
): Bottleneck[] {
  const search = new Search(readers, asked)
  const found = streams.flatMap((stream) => {
    const late = search.at(stream).filter(isLate)
    if (late.length === 0) return []
    const named = search.behind(stream)
    return (named.length > 0 ? named : [nameOf(most(late), 'stuck')]).map((one) => ({ stream, ...one })) // BK4
  })
  return nearest(found).map(({ at: { reader, waiting }, ...one }) => ({
    ...one,
    reader: reader.name,
    waiting,
  }))
}

/** Records of a stream that wait for a reader: there is one of each pair. */
interface At {
  readonly reader: PipelineReader
  readonly waiting: Waiting
}

interface Named extends Pick<Bottleneck, 'via' | 'cause'> {
  readonly at: At
}

class Search {
  readonly #at: ReadonlyMap<string, readonly At[]>
  /** By reader: who holds its outputs up. In a cycle nobody is behind himself. */
  readonly #beyond = new Map<PipelineReader, readonly Named[]>()
  /** Those behind whom it has looked, or is about to. */
  readonly #opened = new Set<PipelineReader>()
  readonly #times = new Map<PipelineReader, PipelineReader['time']>()

  constructor(readers: readonly PipelineReader[], asked: string | undefined) {
    const all = readers.flatMap((reader) => reader.inputs.map((waiting) => ({ reader, waiting })))
    const waited = all.filter(
      ({ reader, waiting: { records, queues } }) => records > 0 && (!queues || reader.name === asked),
    )
    this.#at = Map.groupBy(waited, ({ waiting }) => waiting.stream)
  }

  /** Those for whom records of the stream wait, and for whom its writers do. */
  at(stream: string): readonly At[] {
    return this.#at.get(stream) ?? []
  }

  /** Who holds the stream up. */
  behind(stream: string): Named[] {
    this.#lookBehind(stream)
    return this.#holders(stream)
  }

  #holders(stream: string): Named[] {
    const here = this.at(stream)
    return this.#busiest(here.flatMap((one) => this.#heldBy(one, here)))
  }

  /** Who holds a reader's stream up, as far as it lies with this reader. @param here All readers of the stream. */
  #heldBy(one: At, here: readonly At[]): readonly Named[] {
    const { reader, waiting } = one
    if (reader.isAbsent) return [nameOf(one, 'absent')]
    const beyond = this.#beyond.get(reader) ?? []
    const unowned = beyond.filter(({ cause, via: { length } }) => cause === 'absent' && length === 1)
    if (unowned.length > 0) return unowned // BK2
    const time = this.#timeOf(reader)
    if (time === undefined) {
      const late = beyond.filter(({ at }) => (at.waiting.lagMs ?? 0) >= lateMs)
      if (late.length > 0) return late
      return most(here).waiting === waiting ? [nameOf(one, 'slow')] : [] // BK3
    }
    const isHeld = time.blocked >= blockedShare
    const isBusiest = time.busy >= Math.max(busyShare, this.#most(beyond) - busyMargin)
    if (!isHeld && isBusiest) return [nameOf(one, 'slow')]
    return isHeld && beyond.length === 0 ? [nameOf(one, 'stuck')] : beyond // BK1, BK2
  }

  /** Without those that have more time to spare than others (BK1). */
  #busiest(named: readonly Named[]): Named[] {
    const most = this.#most(named)
    return named.filter((one) => one.cause !== 'slow' || this.#busy(one) >= most - busyMargin)
  }

  #most(named: readonly Named[]): number {
    const slow = named.filter(({ cause }) => cause === 'slow')
    return slow.reduce((most, one) => Math.max(most, this.#busy(one)), 0)
  }

  /** How much of its time a reader works; of one of which it is not known, all. */
  #busy({ at: { reader } }: Named): number {
    return this.#timeOf(reader)?.busy ?? 1
  }

  /** BK5: it is told from the heartbeats of all of its instances. */
  #timeOf(reader: PipelineReader): PipelineReader['time'] {
    if (!this.#times.has(reader)) this.#times.set(reader, reader.time)
    return this.#times.get(reader)
  }

  /** Looks behind all to whom ways lead from the stream, the last first. No recursion: a pipeline may be longer than the stack. */
  #lookBehind(stream: string): void {
    const way = this.#unopened([stream])
    for (let reader = way.at(-1); reader !== undefined; reader = way.at(-1)) {
      if (this.#opened.has(reader)) {
        way.pop()
        if (!this.#beyond.has(reader)) this.#beyond.set(reader, this.#beyondOf(reader))
      } else {
        this.#opened.add(reader)
        way.push(...this.#unopened(reader.outputs))
      }
    }
  }

  /** Readers of the streams behind whom it has to look yet, the first one last. */
  #unopened(streams: readonly string[]): PipelineReader[] {
    const readers = streams.flatMap((stream) => this.at(stream).map(({ reader }) => reader))
    return readers.filter((one) => !one.isAbsent && !this.#opened.has(one)).reverse()
  }

  #beyondOf(reader: PipelineReader): Named[] {
    const behind = nearest(reader.outputs.flatMap((output) => this.#holders(output)))
    return behind.map((named) => ({ ...named, via: [reader.name, ...named.via] }))
  }
}

function isLate({ reader: { isAbsent }, waiting: { lagMs = 0 } }: At): boolean {
  return isAbsent || lagMs >= lateMs
}

function most(some: readonly At[]): At {
  return some.reduce((a, b) => (b.waiting.records > a.waiting.records ? b : a))
}

function nameOf(at: At, cause: Cause): Named {
  return { via: [], at, cause }
}

/** Each once, by the shortest way to it; the nearest first (BK5). */
function nearest<T extends Named>(found: readonly T[]): T[] {
  const seen = new Set<At>()
  return found
    .toSorted((a, b) => a.via.length - b.via.length)
    .filter(({ at }) => !seen.has(at) && seen.add(at))
}
