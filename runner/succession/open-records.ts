/**
 * OpenRecords: counts the records of a batch whose effects on state are in an open format only: they are lost if its version goes.
 * A record at which a callback threw has no effects.
 *
 *   OR1. The consumer is told of open records before it is told of lost ones, and of both before anything is stored behind the batch.
 * Design: docs/design/0032-migrate.md
 * @module
 */
import type { Consumer, TakenFrame } from '../../infra/bus/index.ts'
import type { StateFormat } from '../../sdk/function.ts'
import type { BatchResult } from '../isolate/index.ts'

/**
 * Tells the consumer of a batch's open records; before its frames are marked as finished.
 * @param format The format of state after the batch.
 */
export function tellOpen(
  consumer: Pick<Consumer, 'addOpen' | 'useFormat'>,
  format: StateFormat,
  batch: readonly TakenFrame[],
  result: BatchResult,
): void {
  const { gone } = result
  countOpen(consumer, gone ?? format, batch, result)
  if (gone !== undefined) consumer.useFormat(format)
}

function countOpen(
  consumer: Pick<Consumer, 'addOpen'>,
  { own, kept }: StateFormat,
  batch: readonly TakenFrame[],
  { records, failures, isCanarys }: BatchResult,
): void {
  if (kept >= own) return
  const threw = new Set(failures.map(({ index }) => index))
  let index = 0
  for (const frame of batch) {
    const end = Math.min(records, index + frame.header.count - frame.skip - frame.finished)
    let open = 0
    for (; index < end; index++)
      if (!threw.has(index) && (isCanarys === undefined || isCanarys[index] === 1)) open++
    if (open > 0) consumer.addOpen(frame, own, open)
  }
}
