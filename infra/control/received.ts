/**
 * Received: the answers of a killed producer's receivers, and the account that follows from them.
 * Design: docs/design/0002-channels.md, "The account of a producer that is killed"
 * @module
 */
import { isQueueMode } from '../../sdk/manifest/back-pressure.ts'
import { addCounts, sumOfCounts } from './counts.ts'
import type { OutputLedger, ReceivedRow } from './messages/accounts.ts'
import type { StreamDescriptor } from './messages/streams.ts'

/** How far one channel of a killed producer has come. */
export interface Received extends Pick<ReceivedRow, 'stream' | 'consumer' | 'sent' | 'acked'> {
  /** Drops by each owner, by the epoch at which that owner claimed the partition. */
  readonly droppedBy: ReadonlyMap<number, Counts>
  /** Whether the owner had records of it in hand by the last answer. */
  readonly isOpen: boolean
  readonly heardAtMs: number
}

type Counts = OutputLedger['dropped']

/** By stream, consumer and partition. */
export type ReceivedRows = ReadonlyMap<string, Received>

/** What is known when an account is settled. */
export interface Ground {
  readonly topology: ReadonlyMap<string, Pick<StreamDescriptor, 'consumers'>>
  /** No more answers are expected. */
  readonly isOver: boolean
}

/** Adds the answer of a receiver, or a newer one of the same receiver. */
export function withRow(known: ReceivedRows | undefined, row: ReceivedRow, heardAtMs: number): ReceivedRows {
  const { stream, consumer, partition, sent, acked, inHand = sent - acked, dropped, claimed = 0 } = row
  const key = `${stream}/${consumer}/${partition}`
  const before = known?.get(key) ?? { sent: 0, acked: 0, droppedBy: new Map<number, Counts>() }
  const droppedBy = new Map(before.droppedBy)
  return new Map(known).set(key, {
    ...{ stream, consumer, heardAtMs },
    droppedBy: droppedBy.set(claimed, mostOf(droppedBy.get(claimed) ?? {}, dropped)),
    sent: Math.max(before.sent, sent),
    acked: Math.max(before.acked, acked),
    isOpen: inHand > 0,
  })
}

/**
 * The final account of a row. If the row has an allowance, its producer was killed: then the receivers' counts are
 * used, or the allowance if a receiver is gone too.
 */
export function settle(row: OutputLedger, received: ReceivedRows | undefined, ground: Ground): OutputLedger {
  const { stream, consumer, sent, acked, dropped, allowance, unaccounted, spilled = 0 } = row
  if (allowance === undefined) {
    const lost = sent - spilled - acked // the producer's last report is exact
    return { stream, consumer, sent: acked + lost, acked, dropped, unaccounted: lost }
  }
  const parts = [...(received?.values() ?? [])].filter((p) => p.stream === stream && p.consumer === consumer)
  if (parts.length < (row.parts ?? Number.POSITIVE_INFINITY)) {
    const lost = ground.isOver ? allowance : Math.min(allowance, unaccounted)
    return { stream, consumer, sent: acked + allowance, acked, dropped, unaccounted: lost }
  }
  const { own = {}, earlier = {} } = row
  const mode = ground.topology.get(stream)?.consumers.find(({ name }) => name === consumer)?.backPressure
  const queued = mode !== undefined && isQueueMode(mode) ? allowance - unaccounted : 0 // may have been in its queue
  const droppedItself = sumOfCounts(own)
  // Never less than the producer itself reported: an owner may not know what earlier owners did.
  const through = Math.max(acked, sum(parts, (part) => part.acked) + droppedItself - unaccounted)
  const taken = Math.max(through + unaccounted, sum(parts, (part) => part.sent) + droppedItself) + queued
  const lost = unaccounted + queued + sum(parts, (part) => (part.isOpen ? 0 : part.sent - part.acked))
  const droppedOf = [own, earlier, ...parts.flatMap((part) => [...part.droppedBy.values()])]
  return {
    ...{ stream, consumer, sent: taken, acked: through },
    dropped: mostOf(dropped, droppedOf.reduce(addCounts, {})),
    unaccounted: ground.isOver ? taken - through : Math.min(lost, taken - through),
  }
}

/** The greater count for each reason. */
function mostOf(a: Counts, b: Counts): Counts {
  const most: Record<string, number> = { ...a }
  for (const [reason, records] of Object.entries(b)) most[reason] = Math.max(most[reason] ?? 0, records)
  return most
}

function sum(parts: readonly Received[], of: (part: Received) => number): number {
  return parts.reduce((all, part) => all + of(part), 0)
}
