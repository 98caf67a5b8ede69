/**
 * LateText: why something that was awaited has not happened, as one gateway sees it.
 * @module
 */
import type { FunctionDetail } from '../../api/index.ts'

/**
 * @param reason What the catalog has as the reason. If no scheduler leads, that is the reason instead, since nothing in the
 *   catalog goes on; if only this gateway is cut off, from the store, NATS or JetStream, it is the reason as it was then.
 */
export function lateText<T extends string | undefined>(
  {
    noScheduler,
    noStore,
    unheard,
    noJetStream,
  }: Pick<FunctionDetail, 'noScheduler' | 'noStore' | 'unheard' | 'noJetStream'>,
  reason: T,
): string | T {
  if (noScheduler !== undefined) return noScheduler
  const cutOff = noStore ?? unheard ?? noJetStream
  return cutOff === undefined || reason === undefined ? (cutOff ?? reason) : `${reason}; but ${cutOff}`
}
