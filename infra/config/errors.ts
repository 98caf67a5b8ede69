/** What can be wrong with the configuration: code → who can fix it. */
import type { Blame } from '../../sdk/errors.ts'

export const configErrors = {
  /** The configuration file cannot be read, or is not JSON with comments. */
  ERR_CONFIG_FILE: 'caller',
  /** A key of the configuration file, or a flag, is no setting. */
  ERR_CONFIG_KEY: 'caller',
  /** A setting's value is not allowed. */
  ERR_CONFIG_VALUE: 'caller',
} as const satisfies Record<string, Blame>
export type ConfigErrorCode = keyof typeof configErrors
