/**
 * InPartition: a partition that a consumer hears: its present channels, its former ones, and frames kept while it was awaited.
 * @module
 */
import type { GoneProducer, ReceivedRow } from '../../control/messages/accounts.ts'
import { originOf } from '../messages/origin.ts'
import { ContainedRecords } from './contained.ts'
import { FormerChannels } from './former-channels.ts'
import type { InChannel } from './in-channel.ts'
import { Passed } from './passed.ts'

export interface InPartition {
  readonly stream: string
  readonly partition: number
  /** The name under which it is read. */
  readonly consumer: string
  /** Undefined while it is subscribed but not owned yet. */
  epoch: number | undefined
  /** The epoch since which it was only handed over from owner to owner. */
  since: number
  /** True when it is about to be released: nothing more is taken. */
  suspended: boolean
  /** What its state contains; set when it is owned. */
  contained: ContainedRecords
  readonly channels: Map<string, InChannel>
  readonly former: FormerChannels
  /** Frames that came while it was awaited. */
  readonly passed: Passed
  readonly unsubscribe: () => void
}

/** Creates a partition that is heard and not owned yet. */
export function newPartition(
  place: Pick<InPartition, 'stream' | 'partition' | 'consumer' | 'unsubscribe'>,
): InPartition {
  return {
    ...place,
    ...{ epoch: undefined, since: 0, suspended: false, contained: new ContainedRecords(undefined) },
    ...{ channels: new Map(), former: new FormerChannels(), passed: new Passed() },
  }
}

/** All channels with something to acknowledge. */
export function channelsOf({ channels, former }: InPartition): InChannel[] {
  return [...channels.values(), ...former.open()]
}

export function allChannels(partitions: ReadonlyMap<string, InPartition>): InChannel[] {
  return [...partitions.values()].flatMap(channelsOf)
}

/** How far the channels of killed producers have come in these partitions. */
export function receivedFrom(
  namespace: string,
  partitions: Iterable<InPartition>,
  gone: readonly GoneProducer[],
): { readonly received?: ReceivedRow[] } {
  if (gone.length === 0) return {}
  // One slot may have been killed more than once while its accounts are open.
  const byOrigin = Map.groupBy(gone, ({ name, index }) => originOf(namespace, name, index))
  const received: ReceivedRow[] = []
  for (const { stream, partition, consumer, epoch, channels, former } of partitions) {
    if (epoch === undefined) continue
    for (const channel of [...channels.values(), ...former]) {
      const of = byOrigin
        .get(channel.origin)
        ?.find(({ firstEpoch, epoch: last }) => firstEpoch <= channel.epoch && channel.epoch <= last)
      if (of === undefined) continue
      const { from, expected, promised, acknowledged, acknowledgedAside, dropped } = channel
      if (from === undefined || expected === undefined) continue
      received.push({
        ...{
          name: of.name,
          index: of.index,
          epoch: channel.epoch,
          stream,
          consumer,
          partition,
          claimed: epoch,
        },
        sent: Math.max(expected, promised) - from,
        acked: acknowledged - acknowledgedAside - from,
        inHand: expected - acknowledged + acknowledgedAside,
        dropped: { ...dropped },
      })
    }
  }
  return { received }
}
