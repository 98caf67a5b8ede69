/**
 * Read: what a key has in the partitions of a function, or how much they have, as their runners tell it.
 *
 *   ST1. What was not read is named, with the reason; nothing is said of it. If nothing was read, that is an error.
 *   ST2. Each shared partition is told once.
 * @module
 */
import type { StateAnswer } from '../../infra/control/index.ts'
import type { FunctionState, PartitionState } from '../../sdk/api/state.ts'
import { refuse } from '../errors.ts'
import { type Asking, askSeat, movingMs, movingText, type Seat, seatsOf, whileMoving } from './ask.ts'
import { askedOf, type Shape } from './shape.ts'

export interface ReadQuery {
  readonly key: Buffer | undefined
  /** Where records of the key are. */
  readonly keyPartition: number | undefined
  readonly partition: number | undefined
}

export async function readState(
  asking: Asking,
  name: string,
  shape: Shape,
  { key, keyPartition, partition }: ReadQuery,
): Promise<FunctionState> {
  const reading = new Reading(name, shape, askedOf(name, shape, partition))
  const ask = { key: key?.toString('base64'), partition, first: keyPartition }
  await whileMoving(asking, asking.clock.monotonicMs() + movingMs, async (isFirst) => {
    const seats = seatsOf(asking, name)
    const asked = isFirst ? seats.filter((seat) => reading.isWith(seat)) : seats
    const answers = asked.map(async (seat) => ({ seat, answer: await askSeat(asking, seat, ask) }))
    reading.add(await Promise.all(answers))
    return reading.isWhole || seats.length === 0
  })
  return reading.told
}

interface Answered {
  readonly seat: Seat
  readonly answer: StateAnswer
}

class Reading {
  readonly #name: string
  readonly #hasOwn: boolean
  readonly #rest: Set<number>
  readonly #instances = new Map<string, FunctionState['instances'][number]>()
  /** Of the last round. */
  #failed: readonly { readonly seat: Seat; readonly why: string }[] = []

  constructor(name: string, { own }: Shape, asked: readonly number[]) {
    this.#name = name
    this.#hasOwn = own > 0
    this.#rest = new Set(asked)
  }

  /** Whether the instance should have something that was not read yet. */
  isWith({ shares }: Seat): boolean {
    return this.#hasOwn || shares?.some((share) => this.#rest.has(share)) !== false
  }

  get isWhole(): boolean {
    return this.#rest.size === 0 && (!this.#hasOwn || this.#failed.length === 0)
  }

  add(answers: readonly Answered[]): void {
    this.#failed = answers.flatMap(({ seat, answer }) =>
      answer.ok ? [] : [{ seat, why: `${seat.id}: ${answer.message}` }],
    )
    for (const { seat, answer } of answers) {
      if (!answer.ok) continue
      const { version, readAtMs } = answer
      const isNew = !this.#instances.has(seat.id)
      const partitions = answer.partitions.filter((one) => this.#isNews(one, isNew))
      if (partitions.length === 0) continue
      const all = [...(this.#instances.get(seat.id)?.partitions ?? []), ...partitions]
      all.sort((a, b) => a.partition - b.partition)
      this.#instances.set(seat.id, { instance: seat.id, version, readAtMs, partitions: all })
    }
  }

  /** ST2 */
  #isNews({ partition, isOwn }: PartitionState, isNewInstance: boolean): boolean {
    return isOwn ? isNewInstance : this.#rest.delete(partition)
  }

  /** ST1 */
  get told(): FunctionState {
    const rest = new Set(this.#rest)
    const unread: FunctionState['unread'] = []
    for (const { seat, why } of this.#failed) {
      const partitions = (seat.shares ?? []).filter((share) => rest.delete(share))
      if (partitions.length > 0 || this.#hasOwn) unread.push({ partitions, why })
    }
    if (rest.size > 0) unread.push({ partitions: [...rest], why: movingText })
    if (this.#instances.size > 0)
      return { function: this.#name, instances: [...this.#instances.values()], unread }
    throw nothingRead(
      this.#name,
      this.#failed.map(({ why }) => why),
    )
  }
}

export function nothingRead(name: string, failed: readonly string[]): Error {
  const why =
    failed.length > 0
      ? failed.join('; ')
      : `no instance with what is asked for is at work. What is stored stays in its checkpoints, and can be read again when one is: \`concord fn why ${name}\` says why none is, and \`concord fn scale ${name} 1\` starts one if it is scaled to zero`
  return refuse('ERR_STATE_UNREAD', `Cannot read the state of '${name}': ${why}.`)
}
