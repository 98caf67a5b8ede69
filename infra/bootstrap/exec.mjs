/**
 * Runs the script in our place: same terminal, same signals, same exit. Of a program of the platform, its bundle.
 * @module
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { constants } from 'node:os'
import { join, relative, resolve } from 'node:path'
import { bundleFile, programs } from '../programs.mjs'
import { nodePath, root, toolEnvironment } from './paths.mjs'

/** Runs `script` under the platform's Node and ends this process as the script ended. */
export async function exec(script, args) {
  const child = spawn(nodePath, [...wordsOf(script), ...args], {
    stdio: 'inherit',
    env: { NODE_COMPILE_CACHE: join(root, '.tools', 'cache'), ...toolEnvironment() },
  })
  for (const signal of ['SIGTERM', 'SIGHUP', 'SIGUSR2']) process.on(signal, () => child.kill(signal))
  // A terminal sends Ctrl-C to the whole group itself; a second one would mean "at once" to the script.
  process.on('SIGINT', () => process.stdin.isTTY || child.kill('SIGINT'))
  const [code, signal] = await once(child, 'exit')
  process.exit(code ?? 128 + constants.signals[signal])
}

/** The flags of Node, and the file. */
function wordsOf(script) {
  const quiet = '--disable-warning=ExperimentalWarning' // node:sqlite still warns, to nobody's use
  const source = relative(root, resolve(script))
  if (programs.includes(source)) return [quiet, bundleFile(source)]
  return ['--no-node-snapshot', quiet, script] // isolated-vm needs the first (its README says why), which other scripts may load
}
