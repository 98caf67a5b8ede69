/**
 * Debian: installs the distribution's packages, if this is a Debian and we are root. Concord starts its servers
 * itself, so a package's service must start neither now nor at the next boot.
 * @module
 */
import { existsSync, rmSync, writeFileSync } from 'node:fs'
import { findExecutable } from './paths.mjs'
import { quietly, SetUpError } from './quiet-command.mjs'

const policyFile = '/usr/sbin/policy-rc.d'

/**
 * Installs packages.
 * @param howTo What to do where we cannot.
 * @param service The service that comes with them, if one does.
 * @throws {SetUpError}
 */
export async function installDebian(packages, { howTo, service }) {
  if (process.getuid?.() !== 0 || findExecutable('apt-get') === undefined) throw new SetUpError(howTo)
  const apt = (...args) =>
    quietly('apt-get', ['--option', 'DPkg::Lock::Timeout=120', '--quiet', ...args], {
      env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
      advice: howTo,
    })
  const install = () => apt('install', '--yes', '--no-install-recommends', ...packages)
  await withServicesHeld(async () => {
    await install().catch(() => apt('update').then(install)) // a fresh machine has no package lists
  })
  // A package enables its service; a machine without systemd has nothing to disable.
  if (service !== undefined && findExecutable('systemctl'))
    await quietly('systemctl', ['disable', service], { advice: '' }).catch(() => {})
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
