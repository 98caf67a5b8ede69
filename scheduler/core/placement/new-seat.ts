/**
 * NewSeat: the document of a new seat, written down before the task is launched or told of it (CC1).
 * @module
 */
import type { SeatDocument, VersionDocument } from '../../../infra/store/index.ts'
import type { Draft } from '../state/draft.ts'
import { type FunctionState, instanceId, type Slot } from '../state/state.ts'

export interface NewSeat {
  readonly fn: FunctionState
  readonly slot: Slot
  readonly version: VersionDocument
  readonly shares: readonly number[]
  readonly taskId: string
  readonly epoch: number
}

export function seatDocument(
  draft: Draft,
  { fn, slot, version, shares, taskId, epoch }: NewSeat,
): SeatDocument {
  return {
    schema: 1,
    taskId,
    namespace: draft.state.namespace,
    instance: instanceId(fn.name, slot.index),
    function: fn.name,
    index: slot.index,
    version: version.version,
    firstEpoch: epoch,
    epoch,
    resources: version.manifest.resources,
    shares,
    told: shares,
  }
}
