/**
 * Until: lets tests wait for a condition instead of a time. Test equipment.
 * @module
 */
import { setTimeout } from 'node:timers/promises'

/** Waits until `look` returns something other than undefined or false, and returns that. */
export async function until<T>(
  what: string,
  look: () => T | undefined | false | Promise<T | undefined | false>,
  deadlineMs = 60_000,
): Promise<T> {
  const endMs = performance.now() + deadlineMs
  for (;;) {
    const found = await look()
    if (found !== undefined && found !== false) return found
    if (performance.now() > endMs) throw new Error(`waited ${deadlineMs} ms in vain: ${what}`)
    await setTimeout(5)
  }
}
