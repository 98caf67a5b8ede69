/**
 * Step: nats-server from the distribution's packages. Concord starts its own, so the package's service must neither
 * start now nor at the next boot.
 * @module
 */
import { existsSync, rmSync, writeFileSync } from 'node:fs'
import { findExecutable } from './paths.mjs'
import { quietly, SetUpError } from './quiet-command.mjs'

const howTo =
  "nats-server was not found. Install it ('sudo apt-get install nats-server' on Debian), or set CONCORD_NATS_SERVER to its path."
const policyFile = '/usr/sbin/policy-rc.d'

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
  run: async () => {
    if (process.getuid?.() !== 0 || findExecutable('apt-get') === undefined) throw new SetUpError(howTo)
    await withServicesHeld(async () => {
      await install().catch(() => apt('update').then(install)) // a fresh machine has no package lists
    })
    // The package enables its service; a machine without systemd has nothing to disable.
    if (findExecutable('systemctl'))
      await quietly('systemctl', ['disable', 'nats-server.service'], { advice: '' }).catch(() => {})
  },
}

const install = () => apt('install', '--yes', '--no-install-recommends', 'nats-server')

function apt(...args) {
  return quietly('apt-get', ['--option', 'DPkg::Lock::Timeout=120', '--quiet', ...args], {
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
    advice: howTo,
  })
}

/** Debian asks this file before it starts a service of a package just installed; 101 means no. */
async function withServicesHeld(work) {
  const ours = !existsSync(policyFile)
  const letGo = () => ours && rmSync(policyFile, { force: true })
  if (ours) writeFileSync(policyFile, '#!/bin/sh\nexit 101\n', { mode: 0o755 })
  process.once('exit', letGo)
  try {
    await work()
  } finally {
    letGo()
  }
}
