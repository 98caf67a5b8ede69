/**
 * A clock that all processes of a machine share, so that one can stamp what another measures.
 * @module
 */

const offsetUs = Number(process.hrtime.bigint()) / 1000 - performance.now() * 1000

/** Microseconds of the machine's monotonic clock, with fractions. */
export function monotonicUs(): number {
  return offsetUs + performance.now() * 1000
}
