/**
 * Credit: what an owner tells a producer, for many channels in one message. Layout: docs/design/0001-wire-formats.md.
 * @module
 */
import { CodedError } from '../../../sdk/errors.ts'
import { idText, parseId64 } from '../../../sdk/wire/frame.ts'
import { ByteReader, ByteWriter } from './bytes.ts'

const magic = 0xce
/** The latest version: used if the producer asks for it or a later one. */
export const creditVersionMax = 2

/**
 * With `heir` (and `fresh`), `through` is the epoch since which the partition was only handed over. Some flags announce a field:
 * `tried` the attempts at the record at `through`, `aside` how many records below `through` were set aside, `next` (with `leaving`)
 * the next owner, to which the producer sends from now on, `touched` (version 2) behind which record nothing has been put out.
 */
export const creditFlags = {
  ...{ fresh: 1, resend: 2, leaving: 4, heir: 8 },
  ...{ tried: 16, aside: 32, next: 64, touched: 128 },
} as const
/** Flags by version. */
const flagsKnown = [0, 127, 255]

/** An owner that is known before it has claimed. */
export interface NextOwner {
  /** 16 hex digits, as in its credits. */
  readonly owner: string
  readonly epoch: number
}

export interface CreditEntry {
  readonly stream: string
  readonly partition: number
  readonly flags: number
  /** Sequence behind the last record processed. */
  readonly through: number
  /** Next sequence that the owner will accept: behind everything in its queue. */
  readonly accepted: number
  /** Bytes that may be outstanding behind `through`. */
  readonly windowBytes: number
  /** With `tried`: how often the record at `through` has ended its owner; the next owner continues the count. */
  readonly attempts?: number
  /** With `aside`: records below `through` that wait for a retry. Only the owner has them: if it is killed they are lost. */
  readonly aside?: number
  /** With `next`. */
  readonly next?: NextOwner
  /** With `touched`: behind the last record whose outputs may leave before the next credit. Default: `accepted`. */
  readonly touched?: number
  /** Records dropped in this channel since the owner's start, by reason. */
  readonly dropped: Readonly<Record<string, number>>
}

/** Shared by nearly all entries. */
export const noneDropped: Readonly<Record<string, number>> = Object.freeze({})

export interface Credit {
  readonly consumer: string
  /** 16 hex digits, fresh per incarnation. */
  readonly owner: string
  readonly epoch: number
  readonly entries: readonly CreditEntry[]
}

const credits = new ByteWriter()

/** @param version The one that the producer asks for; flags that it lacks are left out. */
export function encodeCredit(credit: Credit, version = creditVersionMax): Uint8Array {
  const writer = credits.begin()
  const known = flagsKnown[version]!
  writer.u8(magic)
  writer.u8(version)
  writer.u16(credit.entries.length)
  writer.u32(credit.epoch)
  writeOwner(writer, credit.owner)
  writer.name(credit.consumer)
  for (const entry of credit.entries) {
    writer.name(entry.stream)
    writer.u16(entry.partition)
    const flags = entry.flags & known
    if (version === 1) writer.u8(flags)
    else writer.u16(flags)
    writer.u48(entry.through)
    writer.u48(entry.accepted)
    writer.u32(entry.windowBytes)
    if (entry.dropped === noneDropped) writer.u8(0)
    else writeDropped(writer, entry.dropped)
    if ((flags & creditFlags.tried) !== 0) writer.u16(entry.attempts ?? 0)
    if ((flags & creditFlags.aside) !== 0) writer.u32(entry.aside ?? 0)
    if ((flags & creditFlags.next) !== 0) {
      writer.u32(entry.next!.epoch)
      writeOwner(writer, entry.next!.owner)
    }
    if ((flags & creditFlags.touched) !== 0) writer.u48(entry.touched ?? entry.accepted)
  }
  return writer.finish()
}

function writeDropped(writer: ByteWriter, dropped: CreditEntry['dropped']): void {
  const reasons = Object.entries(dropped)
  writer.u8(reasons.length)
  for (const [reason, records] of reasons) {
    writer.name(reason)
    writer.u48(records)
  }
}

function writeOwner(writer: ByteWriter, owner: string): void {
  const { low, high } = parseId64(owner)
  writer.u32(low)
  writer.u32(high)
}

/** @throws {CodedError} ERR_MESSAGE_MALFORMED */
export function decodeCredit(bytes: Uint8Array): Credit {
  const reader = new ByteReader(bytes, 'a credit')
  const [first, version] = [reader.u8(), reader.u8()]
  const known = flagsKnown[version]
  if (first !== magic || known === undefined || version === 0)
    throw unreadable(
      `starts with bytes ${first}, ${version}: this build reads ${magic} and versions 1 to ${creditVersionMax}`,
    )
  const count = reader.u16()
  const epoch = reader.u32()
  const owner = readOwner(reader)
  const consumer = reader.name()
  const entries = Array.from({ length: count }, () => readEntry(reader, version, known))
  reader.end()
  return { consumer, owner, epoch, entries }
}

function readOwner(reader: ByteReader): string {
  const low = reader.u32()
  return idText(reader.u32(), low)
}

/** @returns Undefined if it is not a credit; garbage is ignored. */
export function readCredit(bytes: Uint8Array): Credit | undefined {
  try {
    return decodeCredit(bytes)
  } catch {
    return undefined
  }
}

function unreadable(found: string): CodedError {
  return new CodedError('ERR_MESSAGE_MALFORMED', `Cannot read a credit that ${found}`)
}

function readEntry(reader: ByteReader, version: number, known: number): CreditEntry {
  const stream = reader.name()
  const partition = reader.u16()
  const flags = version === 1 ? reader.u8() : reader.u16()
  // An unknown flag may announce a field, so the rest could not be read.
  if ((flags & ~known) !== 0)
    throw unreadable(`has flags ${flags}, of which version ${version} knows ${known}`)
  const through = reader.u48()
  const accepted = reader.u48()
  const windowBytes = reader.u32()
  const dropped = readDropped(reader)
  const entry = { stream, partition, flags, through, accepted, windowBytes, dropped }
  const { tried, aside, next, touched } = creditFlags
  if ((flags & (tried | aside | next | touched)) === 0) return entry
  if ((flags & (tried | aside | next)) === 0) return { ...entry, touched: reader.u48() }
  return {
    ...entry,
    ...((flags & tried) === 0 ? {} : { attempts: reader.u16() }),
    ...((flags & aside) === 0 ? {} : { aside: reader.u32() }),
    ...((flags & next) === 0 ? {} : { next: { epoch: reader.u32(), owner: readOwner(reader) } }),
    ...((flags & touched) === 0 ? {} : { touched: reader.u48() }),
  }
}

function readDropped(reader: ByteReader): CreditEntry['dropped'] {
  const reasons = reader.u8()
  if (reasons === 0) return noneDropped
  return Object.fromEntries(Array.from({ length: reasons }, () => [reader.name(), reader.u48()]))
}
