/**
 * Ports: which port each server of the platform gets.
 *
 * A port that the user set is used or refused. A freely chosen port stays the one of the last time if it is still
 * free: tasks that outlived an `up`, and clients, know it.
 * @module
 */
import { infraError } from '../errors.ts'
import { isFreePort } from '../free-ports.ts'

export interface PortChoice {
  /** 0: none chosen yet. */
  readonly port: number
  /** It may be chosen freely. */
  readonly free: boolean
  /** The flag with which the user changes it. */
  readonly flag: string
}

/** @returns The port to ask for, 0 for any. @throws {CodedError} ERR_PORT_TAKEN */
export async function usablePort({ port, free, flag }: PortChoice, host = '127.0.0.1'): Promise<number> {
  if (port === 0 || (await isFreePort(port, host))) return port
  if (free) return 0
  throw infraError(
    'ERR_PORT_TAKEN',
    `Cannot start: another program listens on port ${port}. End it, or choose another port with ${flag} (or --ports free)`,
    { detail: { port, flag } },
  )
}
