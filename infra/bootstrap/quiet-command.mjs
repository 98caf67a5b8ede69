/**
 * A command whose output is worth reading only when it fails.
 * @module
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'

/** Set-up cannot go on; the message says what to do. */
export class SetUpError extends Error {}

const outputShownBytes = 8000

/**
 * Runs a command to its end, in silence.
 * @throws {SetUpError} With the end of its output and `advice`, if it fails.
 */
export async function quietly(command, args, { advice, ...options }) {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], ...options })
  const stopChild = () => child.kill('SIGTERM')
  process.once('exit', stopChild)
  let output = ''
  const keep = (chunk) => {
    output = (output + chunk).slice(-outputShownBytes)
  }
  child.stdout.on('data', keep)
  child.stderr.on('data', keep)
  const [code, signal] = await once(child, 'close').catch((error) => [error.message])
  process.removeListener('exit', stopChild)
  if (code === 0) return
  throw new SetUpError(
    `'${command} ${args.join(' ')}' failed (${signal ?? code}).\n${output.trimEnd()}\n\n${advice}`,
  )
}
