/**
 * npm, as set-up uses it: install exactly what a lockfile says, and know whether that is done.
 *
 *  B6. npm itself runs under the machine's Node, which it came with; install scripts find the platform's Node on PATH.
 * @module
 */
import { readFileSync, realpathSync } from 'node:fs'
import { basename, join } from 'node:path'
import { findExecutable, toolEnvironment } from './paths.mjs'
import { quietly, SetUpError } from './quiet-command.mjs'

/** Whether `folder/node_modules` holds what the lockfile says, read from the list that npm leaves there. */
export function isInstalled(lockfile, folder) {
  const wanted = readPackages(lockfile)
  const present = readPackages(join(folder, 'node_modules', '.package-lock.json'))
  if (wanted === undefined || present === undefined) return false
  return Object.entries(wanted).every(
    ([path, entry]) =>
      path === '' || (present[path] ? present[path].version === entry.version : mayBeAbsent(entry)),
  )
}

/** Optional packages may be absent, except those for this very platform: they are programs that we need. */
function mayBeAbsent({ optional, os, cpu, libc }) {
  const isForHere =
    os && cpu && names(os, process.platform) && names(cpu, process.arch) && names(libc ?? 'glibc', 'glibc')
  return optional === true && !isForHere
}

function names(list, name) {
  return [list].flat().includes(name)
}

// Overrides a user's or server's npm configuration: tools and platform programs are needed here.
const npmOptions = ['--include=dev', '--include=optional', '--no-audit', '--no-fund', '--loglevel=error']

/** Installs what `folder/package-lock.json` says into `folder/node_modules`, with `more` in its environment. */
export async function npmCi(folder, more = {}) {
  const [command, ...args] = npmCommand()
  await quietly(command, [...args, 'ci', ...npmOptions], {
    cwd: folder,
    env: { ...toolEnvironment(), ...more },
    advice:
      'npm could not install the locked packages. Check the network and `npm config get registry`, then try again.',
  })
}

function npmCommand() {
  const running = process.env.npm_execpath // set when npm started us
  if (running !== undefined && basename(running) === 'npm-cli.js') return [process.execPath, running]
  const found = findExecutable('npm')
  if (found === undefined)
    throw new SetUpError('npm was not found: install it with Node (on Debian: apt-get install npm)')
  const script = realpathSync(found)
  return script.endsWith('.js') ? [process.execPath, script] : [found]
}

function readPackages(path) {
  try {
    return JSON.parse(readFileSync(path, 'utf8')).packages
  } catch {
    return undefined // absent or half written: not installed
  }
}
