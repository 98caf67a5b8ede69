/**
 * A check that is somebody else's command.
 * @module
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'

/** Runs it with our output; true if it ended with 0. */
export async function runCommand(command: string, args: readonly string[]): Promise<boolean> {
  const child = spawn(command, args, { stdio: ['ignore', 'inherit', 'inherit'] })
  const [code] = await once(child, 'exit')
  return code === 0
}
