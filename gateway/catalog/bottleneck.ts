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
  const nearest = [...found].sort((a, b) => a.via.length - b.via.length)
  return nearest.filter((one, i) => nearest.findIndex((other) => isSame(one, other)) === i)
}

interface At {
  readonly reader: PipelineReader
  readonly waiting: Waiting
}

type Named = Omit<Bottleneck, 'stream'>

class Search {
  readonly #readers: readonly PipelineReader[]
  readonly #asked: string | undefined
  /** By reader: who holds its outputs up. In a cycle nobody is behind himself. */
  readonly #beyond = new Map<PipelineReader, readonly Named[]>()

  constructor(readers: readonly PipelineReader[], asked: string | undefined) {
    this.#readers = readers
    this.#asked = asked
  }

  /** Those for whom records of the stream wait, and for whom its writers do. */
  at(stream: string): At[] {
    return this.#readers.flatMap((reader) => {
      const waiting = reader.inputs.find((input) => input.stream === stream)
      if (waiting === undefined || waiting.records === 0) return []
      return waiting.queues && reader.name !== this.#asked ? [] : [{ reader, waiting }]
    })
  }

  /** Who holds the stream up. */
  behind(stream: string): Named[] {
    const here = this.at(stream)
    return this.#busiest(here.flatMap((one) => this.#heldBy(one, here)))
  }

  /** Who holds a reader's stream up, as far as it lies with this reader. @param here All readers of the stream. */
  #heldBy(one: At, here: readonly At[]): readonly Named[] {
    const { reader, waiting } = one
    if (reader.isAbsent) return [nameOf(one, 'absent')]
    const beyond = this.#beyondOf(reader)
    const unowned = beyond.filter(({ cause, via: { length } }) => cause === 'absent' && length === 1)
    if (unowned.length > 0) return unowned // BK2
    const { time } = reader
    if (time === undefined) {
      const late = beyond.filter(({ waiting: { lagMs = 0 } }) => lagMs >= lateMs)
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
    return Math.max(0, ...named.filter(({ cause }) => cause === 'slow').map((one) => this.#busy(one)))
  }

  /** How much of its time a reader works; of one of which it is not known, all. */
  #busy({ reader }: Named): number {
    return this.#readers.find(({ name }) => name === reader)?.time?.busy ?? 1
  }

  #beyondOf(reader: PipelineReader): readonly Named[] {
    const known = this.#beyond.get(reader)
    if (known !== undefined) return known
    this.#beyond.set(reader, [])
    const found = reader.outputs
      .flatMap((output) => this.behind(output))
      .map((named) => ({ ...named, via: [reader.name, ...named.via] }))
    this.#beyond.set(reader, found)
    return found
  }
}

function isLate({ reader: { isAbsent }, waiting: { lagMs = 0 } }: At): boolean {
  return isAbsent || lagMs >= lateMs
}

function most(some: readonly At[]): At {
  return some.reduce((a, b) => (b.waiting.records > a.waiting.records ? b : a))
}

function nameOf({ reader, waiting }: At, cause: Cause): Named {
  return { via: [], reader: reader.name, waiting, cause }
}

function isSame(one: Bottleneck, other: Bottleneck): boolean {
  return one.reader === other.reader && one.waiting.stream === other.waiting.stream
}
