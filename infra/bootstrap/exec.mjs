/**
 * Runs the script in our place: same terminal, same signals, same exit.
 * @module
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { constants } from 'node:os'
import { join } from 'node:path'
import { nodePath, root, toolEnvironment } from './paths.mjs'

// isolated-vm needs the first (its README says why); node:sqlite still warns, to nobody's use.
const nodeFlags = ['--no-node-snapshot', '--disable-warning=ExperimentalWarning']

/** Runs `script` under the platform's Node and ends this process as the script ended. */
export async function exec(script, args) {
  const child = spawn(nodePath, [...nodeFlags, script, ...args], {
    stdio: 'inherit',
    env: { NODE_COMPILE_CACHE: join(root, '.tools', 'cache'), ...toolEnvironment() },
  })
  for (const signal of ['SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal))
  // A terminal sends Ctrl-C to the whole group itself; a second one would mean "at once" to the script.
  process.on('SIGINT', () => process.stdin.isTTY || child.kill('SIGINT'))
  const [code, signal] = await once(child, 'exit')
  process.exit(code ?? 128 + constants.signals[signal])
}
