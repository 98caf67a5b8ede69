/**
 * Timings: every span of time that the core goes by, in one place.
 * @module
 */
export const timings = {
  /** A task that is said to run and has never beaten, or no more while starting, is killed. */
  startingSilenceMs: 30_000,
  /** A task that was launched and of which nothing is heard is asked for, again and again. */
  launchingSilenceMs: 30_000,
  /** A kill that has not ended its task is repeated: it may have been lost. Longer than the grace. */
  killAgainMs: 15_000,
  /** An instance of a packed task that has not let go by then: its task is killed. */
  releaseMs: 20_000,
  /** A task that the cluster has lost sight of, and that does not beat, counts as gone. */
  unsureMs: 60_000,
  backoffBaseMs: 1_000,
  backoffMaxMs: 60_000,
  /** A millisecond of work takes so many off a back-off: after 15 s none is left. */
  workedCounts: 4,
  /** After a record broke a limit and was dealt with. */
  recordPauseMs: 100,
  /** After a launch that failed through nobody's fault. */
  droppedPauseMs: 500,
  /** Failures are forgotten after this much running. */
  forgiveMs: 300_000,
  /** The last heartbeat of an ended task may come this much later. */
  closingMs: 5_000,
  /** Receivers of one that was killed are asked so often how far they have come with it. */
  askAgainMs: 1_000,
  /** A receiver that has not answered for so long is not waited for. */
  receiverSilenceMs: 30_000,
  /** So long instances wait for room beside those that they replace; then those are ended first. */
  besideMs: 20_000,
  /** An instance too many stays for so long after others have taken one of its partitions, until they have all. */
  retireMs: 30_000,
  /** Followers renew every 3 s; this much without is too much. */
  followerMs: 11_000,
  /** And this much, where their gateway does not beat either, which it does each second. */
  gatewaySilenceMs: 5_000,
  /** Something important that has waited so long has others make room. */
  makeRoomMs: 5_000,
  /** Room that was made is waited for so long before more is made. */
  roomComesMs: 30_000,
  /** What an agent had left is believed for so long. */
  agentSeenMs: 60_000,
  /** An agent that makes no offers and runs nothing of ours is forgotten. */
  agentForgottenMs: 3_600_000,
  /** A wave that was asked for and is not in the store by then is asked for again: the version was wanted anew meanwhile. */
  waveAgainMs: 30_000,
  /** Offers are asked for again while something waits. */
  reviveAgainMs: 30_000,
} as const
