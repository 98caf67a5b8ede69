/**
 * Begin: with which state, and at which record of each producer, the processing of a tape begins.
 *
 *   BG1. A partition begins with its oldest base (bases.ts) since which all records are on the tape; if there is none, with its
 *        newest base, and the records in between are counted. Its frames begin behind the records that the state contains.
 *   BG2. A partition without state begins with the first frame of the tape.
 * Design: docs/design/0031-replay-gate.md
 * @module
 */
import { isCode } from '../../sdk/errors.ts'
import type { Base } from '../checkpoint/bases.ts'
import type { Room } from '../process/memory.ts'
import type { StateCopy } from '../shadow/player.ts'
import type { TapeFrame } from './tape.ts'

/** The state of the working instance. */
export interface StateSource {
  arenaOf(stream: string, partition: number): number
  /** Whether there is state now. */
  has(arena: number): boolean
  /** When the newest of the frames that the tape has dropped was processed. */
  readonly lostMs: number
  basesOf(arena: number): readonly Base[]
  readBase(arena: number, base: Base): Promise<readonly SharedArrayBuffer[]>
}

export interface Begin {
  readonly frames: readonly TapeFrame[]
  /** Makes a new copy at each call. */
  readonly state: () => StateCopy
  /** Of the state. */
  readonly bytes: number
  /** Partitions that begin with a base, and partitions that have state and no base. */
  readonly restored: number
  readonly lacking: number
  /** Records between the bases and the frames. */
  readonly between: number
  /** When the oldest base was made. */
  readonly atMs: number | undefined
}

/** The one that is read, and one for each version. */
export const copiesOfState = 3
/** A base may be deleted while it is read; then the present bases are asked for. */
const attempts = 3

/** @throws {Error} Two copies of the state do not fit, or it cannot be read. */
export async function beginOf(all: readonly TapeFrame[], source: StateSource, memory: Room): Promise<Begin> {
  const arenas = new Set(all.map(({ stream, partition }) => source.arenaOf(stream, partition)))
  const bases = new Map<number, Base>()
  const slabs = new Map<number, readonly SharedArrayBuffer[]>()
  let lacking = 0
  for (const arena of arenas) {
    if (!source.has(arena)) continue
    const found = await read(arena, source, memory, 2 * bytesOf(slabs))
    if (found === undefined) lacking++
    else {
      bases.set(arena, found.base)
      if (found.slabs.length > 0) slabs.set(arena, found.slabs)
    }
  }
  const bytes = bytesOf(slabs)
  const { frames, between } = framesSince(all, source, bases)
  const times = [...bases.values()].map(({ timeMs }) => timeMs)
  return {
    ...{ frames, between, bytes, lacking, restored: bases.size },
    atMs: times.length === 0 ? undefined : Math.min(...times),
    state: () => new Map([...slabs].map(([arena, list]) => [arena, list.map((slab) => slab.slice(0))])),
  }
}

/** @param copies Bytes of the copies still to be made of the partitions that were read before. */
async function read(arena: number, source: StateSource, memory: Room, copies: number) {
  for (let left = attempts; ; left--) {
    const base = baseOf(source.basesOf(arena), source.lostMs)
    if (base === undefined) return undefined
    checkMemory(base, memory, copies)
    try {
      return { base, slabs: await source.readBase(arena, base) }
    } catch (error) {
      if (left === 0 || !isCode(error, 'ERR_CHECKPOINT_CORRUPT')) throw error
    }
  }
}

/** BG1. */
function baseOf(bases: readonly Base[], lostMs: number): Base | undefined {
  return bases.find(({ isOwn, timeMs }) => isOwn && timeMs >= lostMs) ?? bases.at(-1)
}

function checkMemory({ slabs }: Base, memory: Room, copies: number): void {
  const needed = copies + copiesOfState * slabs.reduce((sum, size) => sum + size, 0)
  const lack = memory.lacks(needed)
  if (lack !== undefined)
    throw new Error(`copies of the state take ${Math.ceil(needed / 2 ** 20)} MiB, and ${lack}`)
}

/** The frames with records that the states do not contain, and how many records lie between a state and its first frame. */
function framesSince(
  all: readonly TapeFrame[],
  source: StateSource,
  bases: ReadonlyMap<number, Base>,
): Pick<Begin, 'frames' | 'between'> {
  /** By partition and producer: the sequence behind the last record that the state contains. */
  const through = new Map<string, number>()
  for (const [arena, { inputs }] of bases)
    for (const [stream, { positions }] of Object.entries(inputs))
      for (const one of positions) through.set(`${arena} ${stream} ${one.producer}`, one.through)
  let between = 0
  const begun = new Set<string>()
  const frames = all.flatMap((frame) => {
    const { stream, partition, header, skip } = frame
    const channel = `${source.arenaOf(stream, partition)} ${stream} ${header.producer}`
    const at = through.get(channel) ?? 0
    const first = Math.max(skip, Math.min(at - header.sequence, header.count))
    if (first >= header.count) return []
    if (!begun.has(channel) && through.has(channel)) between += Math.max(0, header.sequence + first - at)
    begun.add(channel)
    return [{ ...frame, skip: first }]
  })
  return { frames, between }
}

function bytesOf(state: StateCopy): number {
  return [...state.values()].flat().reduce((sum, { byteLength }) => sum + byteLength, 0)
}
