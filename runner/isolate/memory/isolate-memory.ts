/**
 * IsolateMemory: the memory of all isolates of this process, as last measured.
 * @module
 */

/** One isolate. */
export interface IsolateHolder {
  /** Bytes of the regions that it shares with the host. */
  readonly regionBytes: number
  /** Its heap, and memory outside the heap that it holds, as measured between two calls: it may be running now. */
  readonly physicalBytes: number
}

const holders = new Set<IsolateHolder>()

export function countIsolate(holder: IsolateHolder): void {
  holders.add(holder)
}

export function forgetIsolate(holder: IsolateHolder): void {
  holders.delete(holder)
}

/** The sums over all isolates. */
export function isolateMemory(): { readonly heapBytes: number; readonly regionBytes: number } {
  let [heapBytes, regionBytes] = [0, 0]
  for (const holder of holders) {
    heapBytes += holder.physicalBytes
    regionBytes += holder.regionBytes
  }
  return { heapBytes, regionBytes }
}
