/**
 * Frame memory: blocks that frames lie in, used again, so that a steady stream makes no garbage. (A megabyte of fresh
 * frames costs page faults, zeroing, and every 64 MiB a full collection: a third of a runner's CPU once.)
 *
 *  F1. Memory that nobody gave back is never handed out again: who forgets to give back costs garbage and nobody's data.
 *  F2. Memory is given back once, by its only owner. Giving back what is free already is our bug, and throws.
 *  F3. What is kept for use is bounded.
 * @module
 */

const blockBytesMin = 4 * 1024
const blockBytesMax = 64 * 1024
const keptBytesMax = 24 * 1024 * 1024

/** The free blocks of each size: 4, 8, … 64 KiB. */
const free: readonly Set<ArrayBuffer>[] = Array.from(
  { length: classOf(blockBytesMax) + 1 },
  () => new Set<ArrayBuffer>(),
)
const ours = new WeakSet<ArrayBuffer>()
let keptBytes = 0

/** Memory for `bytes` bytes, with whatever stood there before. Small and very large ones are ordinary memory. */
export function takeMemory(bytes: number): Uint8Array<ArrayBuffer> {
  if (bytes <= blockBytesMin / 2 || bytes > blockBytesMax) return new Uint8Array(bytes)
  const size = classOf(bytes)
  const blocks = free[size]!
  for (const block of blocks) {
    blocks.delete(block)
    keptBytes -= block.byteLength
    return new Uint8Array(block, 0, bytes)
  }
  const block = new ArrayBuffer(blockBytesMin << size)
  ours.add(block)
  return new Uint8Array(block, 0, bytes)
}

/** Gives memory back; what did not come from here is left alone. Whoever calls this holds no view of it any more. */
export function giveBackMemory(bytes: Uint8Array): void {
  const block = bytes.buffer
  if (!(block instanceof ArrayBuffer) || !ours.has(block)) return
  const blocks = free[classOf(block.byteLength)]!
  if (blocks.has(block)) throw new Error('Frame memory was given back twice')
  if (keptBytes + block.byteLength > keptBytesMax) return
  keptBytes += block.byteLength
  blocks.add(block)
}

function classOf(bytes: number): number {
  return Math.max(0, 32 - Math.clz32((bytes - 1) >>> 12))
}
