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

/** https://fetch.spec.whatwg.org/#port-blocking */
const refusedByFetch: ReadonlySet<number> = new Set([
  ...[
    1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95, 101, 102, 103, 104,
  ],
  ...[
    109, 110, 111, 113, 115, 117, 119, 123, 135, 137, 139, 143, 161, 179, 389, 427, 465, 512, 513, 514, 515,
  ],
  ...[526, 530, 531, 532, 540, 548, 554, 556, 563, 587, 601, 636, 989, 990, 993, 995, 1719, 1720, 1723, 2049],
  ...[3659, 4045, 4190, 5060, 5061, 6000, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697, 10_080],
])

/** Refuses a port to which the command line, a client of ours and a browser would not connect: `fetch` does not. */
export function refuseUnfetched({ port, flag }: PortChoice): void {
  if (!refusedByFetch.has(port)) return
  const text = `Cannot start: no HTTP client that keeps to the fetch standard connects to port ${port}, 'concord' neither. Choose another port with ${flag}, or say --ports free`
  throw infraError('ERR_USAGE', text)
}
