/**
 * Errors of minimesos's own making; what a framework does wrong is answered on the wire instead, in Mesos's words.
 * @module
 */
import type { Blame } from '../../sdk/errors.ts'

export const minimesosErrors = {
  ERR_PORT_TAKEN: 'caller', // another program listens on the port
  ERR_STATE_IN_USE: 'caller', // another minimesos runs on the same state folder
  ERR_BAD_OPTION: 'caller', // a flag or the credentials file is invalid
} as const satisfies Record<string, Blame>
