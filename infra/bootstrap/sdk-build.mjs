/**
 * Step: dist/, which the CLI and other people's projects load, when the sdk's sources changed. sdk/build.mjs knows.
 * @module
 */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { nodePath, root, toolEnvironment } from './paths.mjs'
import { quietly } from './quiet-command.mjs'

const script = join(root, 'sdk', 'build.mjs')

export const sdkBuild = {
  title: 'building the sdk',
  folder: join(root, 'dist'),
  ready: async () => {
    const { codeIsStale } = await import(join(root, 'sdk', 'built.mjs'))
    return !codeIsStale() && existsSync(join(root, 'dist', 'types'))
  },
  run: () =>
    quietly(nodePath, [script], {
      cwd: root,
      env: toolEnvironment(),
      advice: "The sdk does not build; 'npm run bootstrap' shows where.",
    }),
}
