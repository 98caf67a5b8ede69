/**
 * Exit codes of a runner, which say to the scheduler why it has ended.
 * @module
 */
/**
 * Exit codes of a runner task, as the scheduler reads them from the task's status. 128 + n: signal n.
 * docs/errors.md lists them; a test keeps the two equal.
 */
export const exitCodes = {
  drained: 0,
  /** A bug in Concord. */
  crashed: 1,
  /** The configuration or environment is invalid. */
  configuration: 2,
  /** A callback threw under the policy `fail`, or a promise was rejected and nobody awaits or catches it. */
  functionFailed: 10,
  /** `init` threw, or the bundle did not load. */
  initFailed: 11,
  /** The bundle is missing, or does not match its sha256. */
  bundle: 12,
  /** The isolate exceeded its heap limit, or the process its memory bound. */
  memory: 13,
  /** A callback exceeded its time limit. */
  deadline: 14,
  /** The runner stopped responding, and its watchdog ended it. */
  frozen: 15,
  /** A newer owner claimed its partitions. */
  superseded: 16,
  /** The scheduler assigned nothing in time. */
  unassigned: 17,
  /** NATS was unreachable for too long. */
  disconnected: 18,
  /** A record exceeded a limit and is handled by the policy; the instance restarts at once. */
  recordBroke: 19,
  /** The state could not be restored from its checkpoint. */
  checkpoint: 20,
} as const

export type ExitReason = keyof typeof exitCodes

/** Ends that the version that ran is blamed for: its code may be the cause, and nothing from outside is. */
export const versionsFault: ReadonlySet<string> = new Set<ExitReason>([
  ...(['functionFailed', 'initFailed', 'bundle'] as const),
  ...(['memory', 'deadline', 'frozen'] as const),
])
