/**
 * Contexts for a function that runs without the platform: just enough of the function API for the functions of load/.
 * @module
 */
import type { Context, Data } from '../../../sdk/index.ts'
import type { KeyedState } from '../../../sdk/runtime/arena/keyed-state.ts'

type Produce = (key: Uint8Array, value: Uint8Array) => void

/** State in a Map, as one would write it: no journal, nothing undone when the function throws. */
export function mapContext(produce: Produce): Context {
  const state = new Map<string, Uint8Array>()
  const text = (key: Data): string =>
    typeof key === 'string' ? key : Buffer.from(key.buffer, key.byteOffset, key.length).toString('latin1')
  return {
    getState: (key: Data) => state.get(text(key)),
    setState: (key: Data, value: Uint8Array) => void state.set(text(key), value.slice()),
    produceRecord: (_stream: string, key: Uint8Array, value: Uint8Array) => produce(key, value),
  } as unknown as Context
}

/** State in stores of Concord's, one a partition; `at` tells which of them is at hand. */
export function storeContext(
  stores: readonly KeyedState[],
  at: { partition: number },
  produce: Produce,
): Context {
  return {
    getState: (key: Data) => stores[at.partition]!.get(key),
    setState: (key: Data, value: Data) => stores[at.partition]!.set(key, value),
    produceRecord: (_stream: string, key: Uint8Array, value: Uint8Array) => produce(key, value),
  } as unknown as Context
}
