/**
 * Ending: what happens to a demo's platform at the end: it is removed, or left running, with the commands to look
 * around in it and to stop it.
 * @module
 */
import type { Platform } from './platform.ts'
import type { Screen } from './screen.ts'

/** @param commands The commands worth trying in this demo, one per line. */
export async function endPlatform(
  platform: Platform,
  screen: Screen,
  { keep, commands }: { readonly keep: boolean; readonly commands: readonly string[] },
): Promise<void> {
  if (keep && platform.isUp) screen.note(howToUse(platform.home, commands))
  else if (keep) screen.note(`The platform did not start; what it left is in ${platform.home}`)
  else await screen.step('Stopping the platform', () => platform.close())
}

/** Mentions CONCORD_HOME, because the reader's next `concord up` would otherwise use the same folder. */
function howToUse(home: string, commands: readonly string[]): string {
  return `
The platform is still running. To use it:
  npm install --global .                     (once: puts 'concord' on your PATH)
  export CONCORD_HOME=${home}
${commands.map((command) => `  ${command}`).join('\n')}
To stop it:
  concord down && rm -r "$CONCORD_HOME" && unset CONCORD_HOME`
}
