/**
 * IsolateMemory: what the isolates of this process hold, whoever made them, as far as it was last seen.
 * @module
 */

/** One of them. */
export interface IsolateHolder {
  /** Of the regions that it shares with the host. */
  readonly regionBytes: number
  /** What its heap takes, with what that holds outside of it, as seen between two calls: it may be at work now. */
  readonly physicalBytes: number
}

const holders = new Set<IsolateHolder>()

export function countIsolate(holder: IsolateHolder): void {
  holders.add(holder)
}

export function forgetIsolate(holder: IsolateHolder): void {
  holders.delete(holder)
}

/** Of all of them. */
export function isolateMemory(): { readonly heapBytes: number; readonly regionBytes: number } {
  let [heapBytes, regionBytes] = [0, 0]
  for (const holder of holders) {
    heapBytes += holder.physicalBytes
    regionBytes += holder.regionBytes
  }
  return { heapBytes, regionBytes }
}
