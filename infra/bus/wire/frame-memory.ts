/**
 * Frame memory: reusable blocks for frames, so that a steady stream makes no garbage. (Fresh memory for large frames costs
 * page faults, zeroing, and a full collection every 64 MiB: once a third of a runner's CPU. Small frames cost by their
 * number: each scavenge has to free thousands while records wait.)
 *
 *  F1. Memory that was not given back is never handed out again: forgetting it costs garbage, never data.
 *  F2. Memory is given back once, by its only owner. Giving back free memory is a bug, and throws.
 *  F3. The pool is bounded; when it is full, returned memory replaces the size that has most.
 * @module
 */

const blockBytesMin = 256
const blockBytesMax = 64 * 1024
const keptBytesMaxDefault = 24 * 1024 * 1024

class Block extends ArrayBuffer {
  isFree = false
}

/** The free blocks of each size: 256 bytes, 512, … 64 KiB. */
const free: readonly Block[][] = Array.from({ length: classOf(blockBytesMax) + 1 }, () => [])
const keptOf = new Float64Array(free.length)
let keptBytes = 0
let keptBytesMax = keptBytesMaxDefault

/** Memory for `bytes` bytes, with arbitrary contents. Very large blocks are ordinary memory. */
export function takeMemory(bytes: number): Uint8Array<ArrayBuffer> {
  if (bytes > blockBytesMax) return new Uint8Array(bytes)
  const size = classOf(bytes)
  const block = free[size]!.pop()
  if (block === undefined) return new Uint8Array(new Block(blockBytesMin << size), 0, bytes)
  block.isFree = false
  keep(size, -block.byteLength)
  return new Uint8Array(block, 0, bytes)
}

/** Gives memory back; memory from elsewhere is ignored. The caller must hold no view of it any more. */
export function giveBackMemory(bytes: Uint8Array): void {
  const block = bytes.buffer
  if (!(block instanceof Block)) return
  if (block.isFree) throw new Error('Frame memory was given back twice')
  const size = classOf(block.byteLength)
  while (keptBytes + block.byteLength > keptBytesMax) {
    const fullest = keptOf.indexOf(Math.max(...keptOf))
    if (fullest === size) return
    keep(fullest, -free[fullest]!.pop()!.byteLength)
  }
  block.isFree = true
  keep(size, block.byteLength)
  free[size]!.push(block)
}

/** Bounds the pool, and empties it if it holds more; default: the bound as at first. */
export function limitKeptMemory(bytesMax = keptBytesMaxDefault): void {
  keptBytesMax = bytesMax
  if (keptBytes > keptBytesMax) dropKeptMemory()
}

/** Empties the pool, when memory is short. */
export function dropKeptMemory(): void {
  for (const blocks of free) blocks.length = 0
  keptOf.fill(0)
  keptBytes = 0
}

function keep(size: number, bytes: number): void {
  keptBytes += bytes
  keptOf[size]! += bytes
}

/** 0 for up to `blockBytesMin` bytes, one more for each doubling. */
function classOf(bytes: number): number {
  return bytes <= blockBytesMin ? 0 : 24 - Math.clz32(bytes - 1)
}
