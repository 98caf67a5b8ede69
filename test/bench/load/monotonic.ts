/**
 * A clock that all processes of a machine share, so that one can stamp what another measures.
 * @module
 */

/** Microseconds of the machine's monotonic clock, with fractions. */
export function monotonicUs(): number {
  return Number(process.hrtime.bigint()) / 1000 // an offset to `performance.now()` is wrong by what a cold call takes
}
