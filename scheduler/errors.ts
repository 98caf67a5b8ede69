/**
 * Errors of the scheduler: each code and who can fix it.
 * @module
 */
import type { Blame } from '../sdk/errors.ts'

export const schedulerErrors = {
  /** The Mesos master's stream of events cannot be read. */
  ERR_RECORDIO_MALFORMED: 'platform',
  /** The Mesos master refuses the credentials, or the framework's registration. */
  ERR_MESOS_REFUSED: 'caller',
  /** The Mesos master has removed this framework, and no setting allows it to register anew. */
  ERR_MESOS_REMOVED: 'caller',
  /** Another scheduler is the leader now. */
  ERR_LEADERSHIP_LOST: 'transient',
  /** A setting is missing, or settings contradict each other. */
  ERR_SCHEDULER_CONFIG: 'caller',
} as const satisfies Record<string, Blame>
export type SchedulerErrorCode = keyof typeof schedulerErrors
