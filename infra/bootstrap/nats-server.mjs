/**
 * Step: nats-server from the distribution's packages.
 * @module
 */
import { existsSync } from 'node:fs'
import { installDebian } from './debian.mjs'
import { findExecutable } from './paths.mjs'
import { SetUpError } from './quiet-command.mjs'

const howTo =
  "nats-server was not found. Install it ('sudo apt-get install nats-server' on Debian), or set CONCORD_NATS_SERVER to its path."

export const natsServer = {
  title: 'nats-server from the distribution',
  ready: () => {
    const named = process.env.CONCORD_NATS_SERVER
    if (named !== undefined && !existsSync(named)) {
      throw new SetUpError(
        `CONCORD_NATS_SERVER names '${named}', which does not exist: correct it, or unset it`,
      )
    }
    return named !== undefined || findExecutable('nats-server') !== undefined
  },
  run: () => installDebian(['nats-server'], { howTo, service: 'nats-server.service' }),
}
