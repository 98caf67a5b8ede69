/**
 * Runs the script in our place: same terminal, same signals, same exit.
 * @module
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { constants } from 'node:os'
import { join } from 'node:path'
import { bundleFile, programs } from '../programs.mjs'
import { nodePath, root, toolEnvironment } from './paths.mjs'

/**
 * Runs `script` under the platform's Node and ends this process as the script ended.
 * @param source Its name in the checkout: of a program of the platform, the bundle runs, if `bundled`.
 */
export async function exec(script, args, { source, bundled }) {
  const child = spawn(nodePath, [...wordsOf(script, bundled && source), ...args], {
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
function wordsOf(script, bundled) {
  const quiet = '--disable-warning=ExperimentalWarning' // node:sqlite still warns, to nobody's use
  if (programs.includes(bundled)) return [quiet, bundleFile(bundled)]
  return ['--no-node-snapshot', quiet, script] // isolated-vm needs the first (its README says why), which other scripts may load
}
