/**
 * Begin: from which state, and with which record of each producer, what is on a tape is processed again.
 *
 *   BG1. A partition begins with the oldest state that is kept of it and since which all is on the tape; if there is none, with the
 *        newest state, and the records in between are counted. Its frames begin behind what that state contains.
 *   BG2. A partition without state begins with the tape.
 * Design: docs/design/0031-replay-gate.md
 * @module
 */
import { isCode } from '../../sdk/errors.ts'
import type { Base } from '../checkpoint/bases.ts'
import type { Room } from '../process/memory.ts'
import type { StateCopy } from '../shadow/player.ts'
import type { TapeFrame } from './tape.ts'

/** Of the instance at work. */
export interface StateSource {
  arenaOf(stream: string, partition: number): number
  /** Whether it has state there now. */
  has(arena: number): boolean
  /** When the newest frame was done of those that the tape has lost. */
  readonly lostMs: number
  basesOf(arena: number): readonly Base[]
  readBase(arena: number, base: Base): Promise<readonly SharedArrayBuffer[]>
}

export interface Begin {
  readonly frames: readonly TapeFrame[]
  /** Fresh copies, each time. */
  readonly state: () => StateCopy
  readonly bytes: number
  readonly restored: number
  readonly lacking: number
  readonly between: number
  readonly atMs: number | undefined
}

/** What is read, and what each side has of it. */
export const copiesOfState = 3
/** A base that goes while it is read is asked for again. */
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

/** @param copies Bytes of the copies to be made of what was read before. */
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

/** The frames behind what the states contain, and how many records are between those and the first of them. */
function framesSince(
  all: readonly TapeFrame[],
  source: StateSource,
  bases: ReadonlyMap<number, Base>,
): Pick<Begin, 'frames' | 'between'> {
  /** By partition and producer: behind which record the state is, and which one was seen. */
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
