/**
 * Ports: which one each server of the platform gets.
 *
 * A port that somebody set is taken or refused. A port that is ours to choose is the one chosen the last time, if it is
 * still free: tasks that outlived an `up`, and clients, know it.
 * @module
 */
import { once } from 'node:events'
import { createServer } from 'node:net'
import { infraError } from '../errors.ts'

export interface PortChoice {
  /** 0: none chosen yet. */
  readonly port: number
  /** Ours to choose. */
  readonly free: boolean
  /** What the user changes it with. */
  readonly flag: string
}

/** @returns The port to ask for, 0 for any. @throws {CodedError} ERR_PORT_TAKEN */
export async function usablePort({ port, free, flag }: PortChoice, host = '127.0.0.1'): Promise<number> {
  if (port === 0 || (await isFree(port, host))) return port
  if (free) return 0
  throw infraError(
    'ERR_PORT_TAKEN',
    `Cannot start: another program listens on port ${port}. End it, or choose another port with ${flag} (or --ports free)`,
    { detail: { port, flag } },
  )
}

async function isFree(port: number, host: string): Promise<boolean> {
  const server = createServer()
  try {
    await once(server.listen(port, host), 'listening')
    return true
  } catch {
    return false
  } finally {
    server.close()
  }
}
