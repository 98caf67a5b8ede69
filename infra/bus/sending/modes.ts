/**
 * Modes: which consumers queue, and so have a lane of their own (docs/design/0016-back-pressure.md).
 * @module
 */
import { isQueueMode, queueAgeMsDefault, queueMibDefaults } from '../../../sdk/manifest/back-pressure.ts'
import type { ConsumerDescriptor, StreamDescriptor } from '../../control/messages.ts'
import type { QueuePolicy } from './lane-queue.ts'

/** The consumers of a stream that have lanes. */
export function laneConsumers({ consumers }: StreamDescriptor): string[] {
  return consumers.flatMap(({ name, backPressure }) => (isQueueMode(backPressure) ? [name] : []))
}

/** What a consumer wants of its queue; undefined: it has none. */
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
