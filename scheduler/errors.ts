/**
 * Errors of the scheduler: each code and who can fix it.
 * @module
 */
import type { Blame } from '../sdk/errors.ts'

export const schedulerErrors = {
  /** The cluster's stream of events cannot be read. */
  ERR_RECORDIO_MALFORMED: 'platform',
  /** The master refuses our credentials, or what we say of ourselves. */
  ERR_MESOS_REFUSED: 'caller',
  /** The master has removed our framework, and we were not told to register anew. */
  ERR_MESOS_REMOVED: 'caller',
  /** Another scheduler leads, or has written what only the leader writes. */
  ERR_LEADERSHIP_LOST: 'transient',
  /** Configuration is missing or contradicts itself. */
  ERR_SCHEDULER_CONFIG: 'caller',
} as const satisfies Record<string, Blame>
export type SchedulerErrorCode = keyof typeof schedulerErrors
