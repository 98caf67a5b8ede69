/** The errors of the runner: code → who can fix it. */
import type { Blame } from '../sdk/errors.ts'

export const runnerErrors = {
  /** The environment lacks a setting, or one is invalid. */
  ERR_RUNNER_ENVIRONMENT: 'platform',
  /** The scheduler assigned nothing in time. */
  ERR_RUNNER_UNASSIGNED: 'transient',
  /** The command came from a scheduler that is no longer the leader. */
  ERR_COMMAND_STALE: 'transient',
  /** The command cannot be read, or is for another task. */
  ERR_COMMAND_MALFORMED: 'platform',
} as const satisfies Record<string, Blame>

export type RunnerErrorCode = keyof typeof runnerErrors
