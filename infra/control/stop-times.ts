/**
 * StopTimes: how long each step of a runner's stop may take, and the grace period of a kill, in which all of them fit.
 *
 *   ST1. A stop takes the steps in this order: the callback; what is set aside; the state, beside the outputs; the last words;
 *        `destroy`. One second of the grace period stays for the last heartbeat.
 * Design: docs/design/0005-runner.md
 * @module
 */

/** The cluster ends a task this long after it was asked to stop. */
export const killGraceMs = 10_000

/** For the callback under way. Then its isolate is ended. */
export const callbackWaitMs = 2_000
/** For a last attempt at records set aside. Then the isolate is ended. */
export const asideEndMs = 1_000
/** For the last checkpoint. */
export const checkpointWaitMs = 5_500
/** For outputs and dead letters, beside the checkpoint. */
export const outputsWaitMs = 4_000
/** For leaving the channels, where outputs or state took all of their time. */
export const lastWordsMs = 500

/** For what follows the callback. `destroy` is given what the other steps have left of it. */
export const leavingMs = asideEndMs + Math.max(checkpointWaitMs, outputsWaitMs) + lastWordsMs

/** For the other instances of a runner, once a record has ended one. */
export const neighboursWaitMs = 8_000
