/**
 * Ending: what becomes of a demo's platform, the same for each demo: it is taken away, or left running with the commands to
 * look around in it and to stop it.
 * @module
 */
import type { Platform } from './platform.ts'
import type { Screen } from './screen.ts'

/** @param commands What is worth a look in this demo, one command a line. */
export async function endPlatform(
  platform: Platform,
  screen: Screen,
  { keep, commands }: { readonly keep: boolean; readonly commands: readonly string[] },
): Promise<void> {
  if (keep && platform.isUp) screen.note(howToUse(platform.home, commands))
  else if (keep) screen.note(`The platform did not start; what it left is in ${platform.home}`)
  else await screen.step('Stopping the platform', () => platform.close())
}

/** CONCORD_HOME goes with the folder: the reader's next `concord up` would otherwise begin in it again. */
function howToUse(home: string, commands: readonly string[]): string {
  return `
The platform is still running. To use it:
  npm install --global .                     (once: puts 'concord' on your PATH)
  export CONCORD_HOME=${home}
${commands.map((command) => `  ${command}`).join('\n')}
To stop it:
  concord down && rm -r "$CONCORD_HOME" && unset CONCORD_HOME`
}
