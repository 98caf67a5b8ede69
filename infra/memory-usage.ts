/**
 * MemoryUsage: how much memory this process uses. Node opens a file of /proc to learn what is resident, and throws if it may
 * open none: out of descriptors a process would die of the wish to tell its size.
 *   MU1. It throws never: when the kernel refuses, the last known value stands, and before the first one the greatest so far.
 * @module
 */

/** The kernel tells `maxRSS`, in KiB, without a file. */
let last: Readonly<NodeJS.MemoryUsage> = {
  ...{ rss: process.resourceUsage().maxRSS * 1024, heapTotal: 0, heapUsed: 0, external: 0, arrayBuffers: 0 },
}

/** In bytes, by account. */
export function memoryUsage(): Readonly<NodeJS.MemoryUsage> {
  try {
    last = process.memoryUsage()
  } catch {} // MU1
  return last
}

/** The resident memory in bytes: quicker than all of `memoryUsage`. */
export function residentBytes(): number {
  try {
    last = { ...last, rss: process.memoryUsage.rss() }
  } catch {} // MU1
  return last.rss
}
