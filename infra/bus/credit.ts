/**
 * Credit: what an owner tells a producer, for many channels in one message. Layout: docs/design/0001-wire-formats.md.
 * @module
 */
import { CodedError } from '../../sdk/errors.ts'
import { idText, idWords } from '../../sdk/frame.ts'
import { ByteReader, ByteWriter } from './bytes.ts'

const magic = 0xce
const version = 1

/**
 * `heir`, beside `fresh`: `through` is the epoch since which the partition was only handed over. `tried`: the attempts at the
 * record at `through` follow. `aside`: how many below `through` were set aside follows. `next`, beside `leaving`: who owns it next
 * follows, to whom the producer may send from here on.
 */
export const creditFlags = {
  ...{ fresh: 1, resend: 2, leaving: 4, heir: 8 },
  ...{ tried: 16, aside: 32, next: 64 },
} as const
const flagsKnown = 127

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
  /** Next sequence that the owner will accept: `through` and what lies in its queue. */
  readonly accepted: number
  /** Bytes that may be outstanding behind `through`. */
  readonly windowBytes: number
  /** With `tried`: how often the record at `through` has ended its owner; the next one goes on counting. */
  readonly attempts?: number
  /** With `aside`: records below `through` that wait to be tried again. The owner holds them: with it they are gone. */
  readonly aside?: number
  /** With `next`. */
  readonly next?: NextOwner
  /** Records dropped in this channel since the owner's start, by reason. */
  readonly dropped: Readonly<Record<string, number>>
}

/** Of nearly all entries. */
export const noneDropped: Readonly<Record<string, number>> = Object.freeze({})

export interface Credit {
  readonly consumer: string
  /** 16 hex digits, fresh per incarnation. */
  readonly owner: string
  readonly epoch: number
  readonly entries: readonly CreditEntry[]
}

const credits = new ByteWriter()

export function encodeCredit(credit: Credit): Uint8Array {
  const writer = credits.begin()
  writer.u8(magic)
  writer.u8(version)
  writer.u16(credit.entries.length)
  writer.u32(credit.epoch)
  writeOwner(writer, credit.owner)
  writer.name(credit.consumer)
  for (const entry of credit.entries) {
    writer.name(entry.stream)
    writer.u16(entry.partition)
    writer.u8(entry.flags)
    writer.u48(entry.through)
    writer.u48(entry.accepted)
    writer.u32(entry.windowBytes)
    if (entry.dropped === noneDropped) writer.u8(0)
    else writeDropped(writer, entry.dropped)
    if ((entry.flags & creditFlags.tried) !== 0) writer.u16(entry.attempts ?? 0)
    if ((entry.flags & creditFlags.aside) !== 0) writer.u32(entry.aside ?? 0)
    if ((entry.flags & creditFlags.next) === 0) continue
    const { owner, epoch } = entry.next!
    writer.u32(epoch)
    writeOwner(writer, owner)
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
  const { low, high } = idWords(owner)
  writer.u32(low)
  writer.u32(high)
}

/** @throws {CodedError} ERR_MESSAGE_MALFORMED */
export function decodeCredit(bytes: Uint8Array): Credit {
  const reader = new ByteReader(bytes, 'a credit')
  const found = [reader.u8(), reader.u8()]
  if (found[0] !== magic || found[1] !== version) throw unreadable(`starts with bytes ${found.join(', ')}`)
  const count = reader.u16()
  const epoch = reader.u32()
  const owner = readOwner(reader)
  const consumer = reader.name()
  const entries = Array.from({ length: count }, () => readEntry(reader))
  reader.end()
  return { consumer, owner, epoch, entries }
}

function readOwner(reader: ByteReader): string {
  const low = reader.u32()
  return idText(reader.u32(), low)
}

function unreadable(found: string): CodedError {
  return new CodedError('ERR_MESSAGE_MALFORMED', `Cannot read a credit that ${found}`)
}

function readEntry(reader: ByteReader): CreditEntry {
  const stream = reader.name()
  const partition = reader.u16()
  const flags = reader.u8()
  // Whatever it means, it may be followed by a field: the rest could not be told from it.
  if ((flags & ~flagsKnown) !== 0)
    throw unreadable(`has flags ${flags}, of which this build knows ${flagsKnown}`)
  const through = reader.u48()
  const accepted = reader.u48()
  const windowBytes = reader.u32()
  const dropped = readDropped(reader)
  const entry = { stream, partition, flags, through, accepted, windowBytes, dropped }
  const { tried, aside, next } = creditFlags
  if ((flags & (tried | aside | next)) === 0) return entry
  return {
    ...entry,
    ...((flags & tried) === 0 ? {} : { attempts: reader.u16() }),
    ...((flags & aside) === 0 ? {} : { aside: reader.u32() }),
    ...((flags & next) === 0 ? {} : { next: { epoch: reader.u32(), owner: readOwner(reader) } }),
  }
}

function readDropped(reader: ByteReader): CreditEntry['dropped'] {
  let left = reader.u8()
  if (left === 0) return noneDropped
  const dropped: Record<string, number> = {}
  for (; left > 0; left--) {
    const reason = reader.name()
    Object.defineProperty(dropped, reason, {
      value: reader.u48(),
      enumerable: true,
      configurable: true,
      writable: true,
    })
  }
  return dropped
}
