/**
 * Timings: every duration that the core uses, in one place.
 * @module
 */
export const timings = {
  /** A starting task is killed after this long without a heartbeat. */
  startingSilenceMs: 30_000,
  /** A launched task is asked for at the cluster at this interval, until something is heard of it. */
  launchingSilenceMs: 30_000,
  /** A kill that has not ended its task is repeated, since it may have been lost. Longer than the grace period. */
  killAgainMs: 15_000,
  /** A packed task is killed if a draining instance has not left it by then. */
  releaseMs: 20_000,
  /** A task that the cluster has lost sight of counts as gone after this long without a heartbeat. */
  unsureMs: 60_000,
  backoffBaseMs: 1_000,
  backoffMaxMs: 60_000,
  /** Each millisecond of work shortens a back-off by this many; after 15 s of work nothing is left of the longest. */
  workedCounts: 4,
  /** The pause after a record broke a limit and was dealt with. */
  recordPauseMs: 100,
  /** The pause after a launch of which no heartbeat came. It doubles with each in a row. */
  failedLaunchBaseMs: 500,
  /** For how long an agent on which a launch failed is the last choice. */
  agentFailedMs: 300_000,
  /** Failures in a row are forgotten after running this long. */
  forgiveMs: 300_000,
  /** How long the last heartbeat of an ended task may still arrive. */
  closingMs: 5_000,
  /** How often receivers are asked how far they have come with a killed instance. */
  askAgainMs: 1_000,
  /** A receiver that has not answered for this long is not waited for. */
  receiverSilenceMs: 30_000,
  /** How long new instances wait for room beside those that they replace; then the old ones are ended first. */
  besideMs: 20_000,
  /** A superfluous instance that has begun to hand over its partitions gets this long for the next one. */
  retireMs: 30_000,
  /** A follower that has not renewed for this long is dropped; followers renew every 3 s. */
  followerMs: 11_000,
  /** A follower is dropped after this long if its gateway, which beats every second, is silent too. */
  gatewaySilenceMs: 5_000,
  /** How long an important request waits before others have to make room. */
  makeRoomMs: 5_000,
  /** How long to wait for room that was made before more is made. */
  roomComesMs: 30_000,
  /** How long an agent's last known free resources are trusted. */
  agentSeenMs: 60_000,
  /** An agent that makes no offers and runs no task of ours is forgotten after this long. */
  agentForgottenMs: 3_600_000,
  /** A requested wave that is not in the store by then is requested again: a new deploy may have overwritten it. */
  waveAgainMs: 30_000,
  /** How often offers are requested again while something waits. */
  reviveAgainMs: 30_000,
} as const
