/**
 * Modes: which consumers queue, and so have a lane (docs/design/0016-back-pressure.md).
 * @module
 */
import { isQueueMode, queueAgeMsDefault, queueMibDefaults } from '../../../sdk/manifest/back-pressure.ts'
import type { ConsumerDescriptor, StreamDescriptor } from '../../control/messages/streams.ts'
import type { QueuePolicy } from './lane-queue.ts'

/** The consumers of a stream that have lanes. */
export function laneConsumers({ consumers }: StreamDescriptor): string[] {
  return consumers.flatMap(({ name, backPressure }) => (isQueueMode(backPressure) ? [name] : []))
}

/** A consumer's queue policy; undefined if it has no queue. */
export function policyOf({
  backPressure,
  queueMib,
  queueAgeMs,
}: ConsumerDescriptor): QueuePolicy | undefined {
  if (!isQueueMode(backPressure)) return undefined
  return {
    mode: backPressure,
    bytesMax: (queueMib ?? queueMibDefaults[backPressure]) * 2 ** 20,
    ageMaxMs: queueAgeMs ?? queueAgeMsDefault,
  }
}
