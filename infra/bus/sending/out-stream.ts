/**
 * OutStream: a stream at one producer: its partitions on the main subject, and its lanes.
 * @module
 */
import type { AllowanceRow, OutputLedger } from '../../control/messages/accounts.ts'
import type { StreamDescriptor } from '../../control/messages/streams.ts'
import { type AddOut, Allowance } from './allowance.ts'
import { ClosedRows } from './closed-rows.ts'
import { type LaneBasis, Lanes } from './lanes.ts'
import { addLedgers } from './ledgers.ts'
import type { OutPartition } from './out-partition.ts'

export interface OutStream {
  descriptor: StreamDescriptor
  readonly partitions: (OutPartition | undefined)[]
  /** Lanes, by consumer that queues. */
  readonly lanes: Lanes
  readonly closed: ClosedRows
  /** Absent if nobody is told. */
  readonly allowance: Allowance | undefined
  /** The bounds last told, by consumer; undefined if something on which they depend has changed. */
  told: Map<string, AllowanceRow> | undefined
}

/** @param tell Tells the bounds of all streams; absent if nobody hears them. */
export function newStream(descriptor: StreamDescriptor, basis: LaneBasis, tell?: () => void): OutStream {
  const lanes = new Lanes(basis)
  lanes.set(descriptor)
  const partitions = new Array<OutPartition | undefined>(descriptor.partitions).fill(undefined)
  const stream: OutStream = {
    ...{ descriptor, partitions, lanes, closed: new ClosedRows() },
    ...{ allowance: tell && new Allowance((add) => eachOut(stream, add), tell), told: undefined },
  }
  return stream
}

/** A row for each consumer, even if nothing was sent to it yet. */
function eachOut(stream: OutStream, add: AddOut): void {
  for (const { name } of stream.descriptor.consumers) add(name, 0)
  for (const { consumer, unaccounted } of stream.closed) add(consumer, 0, unaccounted)
  eachPart(stream, (out) => out.eachOut(add))
}

/** The present bounds of all streams, with what is already settled. */
export function allowancesOf(streams: Iterable<OutStream>): AllowanceRow[] {
  return [...streams].flatMap((stream) => {
    stream.told = allowancesNow(stream)
    return [...stream.told.values()]
  })
}

/**
 * The same, if all that has changed is that a stream began to send to one more partition of these consumers: so a thousand
 * partitions are not added up a thousand times.
 */
export function allowancesWith(
  streams: Iterable<OutStream>,
  begun: OutStream,
  consumers: readonly string[],
): AllowanceRow[] {
  for (const consumer of consumers) {
    const row = begun.told?.get(consumer)
    if (row === undefined) begun.told = undefined
    else begun.told?.set(consumer, { ...row, parts: (row.parts ?? 0) + 1 })
  }
  return [...streams].flatMap((stream) => {
    stream.told ??= allowancesNow(stream)
    return [...stream.told.values()]
  })
}

function allowancesNow(stream: OutStream): Map<string, AllowanceRow> {
  const { bounds = new Map<string, number>() } = stream.allowance ?? {}
  const rows = sumsOf(stream)
  return new Map(
    [...bounds].map(([consumer, allowance]) => {
      const { unaccounted = 0, parts = 0, earlier } = rows.get(consumer) ?? {}
      const row = { stream: stream.descriptor.name, consumer, allowance, unaccounted, parts }
      return [consumer, earlier === undefined ? row : { ...row, earlier }]
    }),
  )
}

/** One row per consumer, partitions added up. */
function sumsOf(stream: OutStream): Map<string, OutputLedger> {
  const rows = new Map<string, OutputLedger>()
  for (const row of stream.closed) rows.set(row.consumer, addLedgers(rows.get(row.consumer), row))
  for (const part of partsOf(stream))
    for (const row of part.ledger()) rows.set(row.consumer, addLedgers(rows.get(row.consumer), row))
  return rows
}

/** Its partitions, on the main subject and in lanes. */
export function* partsOf({ partitions, lanes }: OutStream): Generator<OutPartition> {
  for (const out of partitions) if (out !== undefined) yield out
  yield* lanes.parts()
}

/** The same without a generator, for what is asked at each batch. */
export function eachPart({ partitions, lanes }: OutStream, visit: (out: OutPartition) => void): void {
  for (const out of partitions) if (out !== undefined) visit(out)
  for (const lane of lanes) for (const out of lane.partitions) if (out !== undefined) visit(out)
}

/** Bytes held and retained. */
export function bufferedBytes(stream: OutStream): number {
  let bytes = 0
  eachPart(stream, (out) => {
    bytes += out.bufferedBytes
  })
  return bytes
}

/** The partitions with something taken and not safe yet, each with its mark. */
export function unsafeOf(
  streams: Iterable<OutStream>,
): { readonly out: OutPartition; readonly mark: number }[] {
  const all: { readonly out: OutPartition; readonly mark: number }[] = []
  for (const stream of streams)
    eachPart(stream, (out) => {
      if (!out.safeThrough(out.mark)) all.push({ out, mark: out.mark })
    })
  return all
}

/** Since when the oldest record that a consumer has not acknowledged waits, by consumer. */
function waitingSince(stream: OutStream): Map<string, number> {
  const oldest = new Map<string, number>()
  eachPart(stream, (out) =>
    out.eachWaiting((consumer, sinceMs) =>
      oldest.set(consumer, Math.min(sinceMs, oldest.get(consumer) ?? sinceMs)),
    ),
  )
  return oldest
}

/**
 * One row per (stream, consumer), partitions added up (I7), with its lag and its allowance.
 * @param spiller The producer's id.
 * @param nowMs Undefined: nothing is sent any more, so the rows are exact, and nothing waits.
 */
export function outputLedger(
  streams: Iterable<OutStream>,
  spiller: string,
  nowMs: number | undefined,
): OutputLedger[] {
  const rows = new Map<string, OutputLedger>()
  for (const stream of streams) {
    const { name, consumers } = stream.descriptor
    const sent = stream.partitions.reduce((sum, out) => sum + (out?.sent ?? 0), 0)
    const row = (consumer: string, records: number): OutputLedger => ({
      ...{ stream: name, consumer, sent: records, acked: records },
      ...{ dropped: {}, unaccounted: 0 },
    })
    rows.set(`${name} $server`, row('$server', sent))
    // A consumer to which nothing was sent yet has a row too: it shows that this producer knows it.
    for (const consumer of consumers) rows.set(`${name} ${consumer.name}`, row(consumer.name, 0))
    for (const each of sumsOf(stream).values()) {
      const key = `${name} ${each.consumer}`
      const sum = addLedgers(rows.get(key), each)
      rows.set(key, sum.spilled === undefined ? sum : { ...sum, spiller })
    }
    if (nowMs === undefined) continue
    const add = (consumer: string, more: Pick<OutputLedger, 'allowance' | 'lagMs'>): void => {
      const key = `${name} ${consumer}`
      const sum = rows.get(key)
      if (sum !== undefined) rows.set(key, { ...sum, ...more })
    }
    for (const [consumer, allowance] of stream.allowance?.lowered() ?? []) add(consumer, { allowance })
    for (const [consumer, sinceMs] of waitingSince(stream))
      add(consumer, { lagMs: Math.max(0, Math.round(nowMs - sinceMs)) }) // the age of what was adopted goes by another clock
  }
  return [...rows.values()]
}
