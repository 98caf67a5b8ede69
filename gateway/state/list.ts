/**
 * List: what is stored in the state of a function, page by page: one partition after the other, slice by slice.
 *
 *   ST3. An entry that is there all the time is listed once in all the pages, though partitions move and grow.
 *   ST4. Between two slices the instance has more time for its records than the list took. A page takes a bounded time; what was
 *        not reached by then comes on the next one.
 * @module
 */
import { sleep } from '../../infra/clock.ts'
import type { ListAsk, StateAnswer } from '../../infra/control/index.ts'
import type { FunctionState, PartitionState } from '../../sdk/api/state.ts'
import { refuse } from '../errors.ts'
import { type Asking, askSeat, movingText, type Seat, seatsOf, whileMoving } from './ask.ts'
import { nothingRead } from './read.ts'
import { askedOf, type Shape } from './shape.ts'

const pageMs = 2_000
/** How much of that is for partitions that move. */
const pageMovingMs = 1_000
/** A slice takes up to 1 ms (runner/instance/worker.ts). */
const betweenSlicesMs = 4

export interface ListQuery {
  readonly partition?: number | undefined
  readonly prefix?: string | undefined
  readonly limit: number
  readonly cursor?: string | undefined
}

/** A partition of state: a shared one, of owner 0, or that of an instance alone, whose owner is its index plus 1. */
interface Home {
  readonly owner: number
  readonly partition: number
}

type Told = Extract<StateAnswer, { ok: true }>

export async function listState(
  asking: Asking,
  name: string,
  shape: Shape,
  { partition, prefix = '', limit, cursor }: ListQuery,
): Promise<FunctionState> {
  const { clock } = asking
  const from = cursor === undefined ? begin : positionOf(name, shape, cursor)
  if (cursor !== undefined && partition !== undefined && from.partition !== partition)
    throw refuse(
      'ERR_REQUEST_INVALID',
      `Cannot list partition ${partition} of the state of '${name}' from '${cursor}': that cursor is of partition ${from.partition}.`,
    )
  const begunMs = clock.monotonicMs()
  const page = new Page(name)
  for (const home of homesOf(asking, name, shape, partition)) {
    const isAfter = order(home, from)
    if (isAfter < 0) continue
    let place: number | undefined = isAfter === 0 ? from.place : 0
    while (place !== undefined) {
      if (page.entries >= limit || clock.monotonicMs() >= begunMs + pageMs)
        return page.told(cursorOf(home, place))
      const ask = { ...listedAs(home), from: place, limit: limit - page.entries, prefix: base64(prefix) }
      const answer = await askHome(asking, name, home, begunMs + pageMovingMs, ask)
      if (typeof answer === 'string') page.miss(home, answer)
      else page.add(answer.seat, answer.told)
      place = typeof answer === 'string' ? undefined : answer.told.next
      if (place !== undefined && page.entries < limit) await sleep(clock, betweenSlicesMs)
    }
  }
  return page.told(undefined)
}

/** In the order of the list: what is shared, then what each instance has alone. */
function homesOf(asking: Asking, name: string, shape: Shape, partition: number | undefined): Home[] {
  const shared = askedOf(name, shape, partition).map((share) => ({ owner: 0, partition: share }))
  const all = Array.from({ length: shape.own }, (_, one) => one)
  const mine = all.filter((one) => partition === undefined || one === partition)
  const indexes = seatsOf(asking, name).map(({ index }) => index)
  const own = indexes
    .toSorted((a, b) => a - b)
    .flatMap((index) => mine.map((one) => ({ owner: index + 1, partition: one })))
  return [...shared, ...own]
}

function order(a: Home, b: Home): number {
  return a.owner - b.owner || a.partition - b.partition
}

/** @returns The reason if nobody has told it. */
async function askHome(
  asking: Asking,
  name: string,
  { owner, partition }: Home,
  untilMs: number,
  list: ListAsk,
): Promise<{ readonly seat: Seat; readonly told: Told } | string> {
  let found: { readonly seat: Seat; readonly told: Told } | undefined
  let why = movingText
  await whileMoving(asking, untilMs, async (isFirst) => {
    const seats = seatsOf(asking, name)
    const isWith = ({ index, shares }: Seat): boolean =>
      owner > 0 ? index === owner - 1 : shares?.includes(partition) !== false
    const asked = seats.filter((seat) => isWith(seat) || (owner === 0 && !isFirst))
    const answers = await Promise.all(
      asked.map(async (seat) => ({ seat, told: await askSeat(asking, seat, { list }) })),
    )
    why = movingText
    for (const { seat, told } of answers)
      if (told.ok && told.partitions.some(isListed)) found = { seat, told }
      else if (isWith(seat)) why = whyNot(seat, told) ?? why
    return found !== undefined || seats.length === 0
  })
  return found ?? why
}

function isListed({ listed }: PartitionState): boolean {
  return listed !== undefined
}

/** Runners that know no lists answer how much all their partitions have. */
function whyNot({ id }: Seat, told: StateAnswer): string | undefined {
  if (!told.ok) return `${id}: ${told.message}`
  if (told.partitions.length === 0) return undefined
  return `${id}: its runner is of an earlier build, which lists nothing: it can say what a key has`
}

/** What is listed so far. */
class Page {
  readonly #name: string
  readonly #instances: FunctionState['instances'] = []
  readonly #unread: FunctionState['unread'] = []
  entries = 0

  constructor(name: string) {
    this.#name = name
  }

  /** A slice: it may continue the one before. */
  add({ id }: Seat, { version, readAtMs, partitions }: Told): void {
    for (const { listed = [] } of partitions) this.entries += listed.length
    const last = this.#instances.at(-1)
    if (last?.instance !== id) {
      this.#instances.push({ instance: id, version, readAtMs, partitions })
      return
    }
    Object.assign(last, { version, readAtMs })
    for (const one of partitions) {
      const before = last.partitions.at(-1)
      if (before?.partition !== one.partition || before.isOwn !== one.isOwn) last.partitions.push(one)
      else Object.assign(before, one, { listed: [...(before.listed ?? []), ...(one.listed ?? [])] })
    }
  }

  miss({ partition }: Home, why: string): void {
    const same = this.#unread.find((one) => one.why === why)
    if (same === undefined) this.#unread.push({ partitions: [partition], why })
    else same.partitions.push(partition)
  }

  told(cursor: string | undefined): FunctionState {
    if (this.#instances.length === 0 && this.#unread.length > 0 && cursor === undefined) {
      const failed = this.#unread.map(({ why }) => why).filter((why) => why !== movingText)
      throw nothingRead(this.#name, failed)
    }
    return {
      ...{ function: this.#name, instances: this.#instances, unread: this.#unread },
      ...(cursor !== undefined && { cursor }),
    }
  }
}

function cursorOf({ owner, partition }: Home, place: number): string {
  return `${owner}.${partition}.${place.toString(16)}`
}

interface Position extends Home {
  readonly place: number
}

const begin: Position = { owner: 0, partition: 0, place: 0 }

/** An instance of a cursor may be gone since, but its partition is one that the function has. */
function positionOf(name: string, { shared, own }: Shape, cursor: string): Position {
  const [, owner, partition, place] = /^(\d{1,9})\.(\d{1,9})\.([0-9a-f]{1,8})$/.exec(cursor) ?? []
  if (place === undefined || Number(partition) >= (Number(owner) > 0 ? own : shared))
    throw refuse(
      'ERR_REQUEST_INVALID',
      `Cannot list the state of '${name}' from '${cursor}': expected the \`cursor\` of an earlier answer.`,
    )
  return { owner: Number(owner), partition: Number(partition), place: Number.parseInt(place, 16) }
}

function listedAs({ owner, partition }: Home): Pick<ListAsk, 'partition' | 'isOwn'> {
  return { partition, ...(owner > 0 && { isOwn: true }) }
}

function base64(text: string): string {
  return Buffer.from(text).toString('base64')
}
