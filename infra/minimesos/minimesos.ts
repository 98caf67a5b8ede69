/**
 * minimesos: a Mesos master and its agents, one or several, in one process, on loopback, for one machine.
 *
 * It speaks the v1 scheduler API as a real master does, so that the scheduler has one way to talk to a cluster. Tasks
 * are child processes that outlive it.
 * @module
 */
import { mkdirSync } from 'node:fs'
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { resolve } from 'node:path'
import { pino } from 'pino'
import { CodedError } from '../../sdk/errors.ts'
import { systemClock } from '../clock.ts'
import { parseMastersUrl } from '../masters/index.ts'
import { Contest } from './contest.ts'
import type { Fleet } from './fleet.ts'
import { createMasterServer, masterInfo } from './master/index.ts'
import type { MinimesosOptions } from './options.ts'
import { Place } from './place.ts'

export interface Minimesos {
  readonly url: string
  readonly fleet: Fleet
  /** Whether it leads; otherwise it stands by. */
  readonly leads: boolean
  /** Resolves when it stops leading; it has ended then, and its tasks continue. */
  readonly lost: Promise<Error>
  /** Ends it and leaves its tasks alive. */
  close(): Promise<void>
}

/** @throws {CodedError} ERR_PORT_TAKEN, ERR_STATE_IN_USE, ERR_BAD_OPTION, ERR_MASTERS_URL */
export async function startMinimesos(options: MinimesosOptions): Promise<Minimesos> {
  const { clock = systemClock, log = pino({ level: 'silent' }), credentials } = options
  const stateDir = resolve(options.stateDir)
  mkdirSync(stateDir, { recursive: true, mode: 0o700 })
  const place = new Place({ ...options, stateDir, clock, log })
  const lost = Promise.withResolvers<Error>()
  let contest: Contest | undefined
  const server = createMasterServer({
    master: () => place.master,
    leader: () => contest?.leader,
    fleet: place.fleet,
    clock,
    ...(credentials === undefined ? {} : { credentials }),
  })
  let closing: Promise<void> | undefined
  const close = (): Promise<void> => {
    closing ??= (async () => {
      const left = contest?.leave()
      place.leave()
      await stop(server)
      await left
    })()
    return closing
  }
  try {
    const info = masterInfo(await listen(server, options.port))
    place.prepare(info)
    if (options.zookeeper === undefined) place.lead()
    else {
      const at = parseMastersUrl(options.zookeeper)
      contest = new Contest({
        at,
        info,
        place,
        clock,
        log,
        lost: (why) => void close().then(() => lost.resolve(why)),
      })
      await contest.decided
    }
    return {
      url: `http://127.0.0.1:${info.port}`,
      fleet: place.fleet,
      lost: lost.promise,
      get leads() {
        return place.master !== undefined
      },
      close,
    }
  } catch (error) {
    await close()
    throw error
  }
}

function listen(server: Server, port: number): Promise<number> {
  return new Promise((done, fail) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      fail(error.code === 'EADDRINUSE' ? portTaken(port, error) : error)
    })
    server.listen(port, '127.0.0.1', () => done((server.address() as AddressInfo).port))
  })
}

const portTaken = (port: number, cause: Error): CodedError =>
  new CodedError(
    'ERR_PORT_TAKEN',
    `Cannot listen on 127.0.0.1:${port}: another process does; stop it or give --port another number`,
    { cause },
  )

/** Ends as a killed master does: the sockets of its streams close without a zero chunk. */
function stop(server: Server): Promise<void> {
  return new Promise((done) => {
    server.close(() => done())
    server.closeAllConnections()
  })
}
