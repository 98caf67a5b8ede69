/**
 * Step: dist/platform/, the programs of the platform, each in one file (program-bundles.mjs), when what it is made of changed.
 * @module
 */
import { dirname, join } from 'node:path'
import { bundlesAreStale } from '../program-bundles.mjs'
import { bundleFile, programs } from '../programs.mjs'
import { nodePath, root, toolEnvironment } from './paths.mjs'
import { quietly } from './quiet-command.mjs'

export const platformBuild = {
  title: 'building the platform',
  folder: dirname(bundleFile(programs[0])),
  ready: () => !bundlesAreStale(),
  run: () =>
    quietly(nodePath, [join(root, 'infra', 'program-bundles.mjs')], {
      cwd: root,
      env: toolEnvironment(),
      advice: "The platform does not build; 'npm run bootstrap' shows where.",
    }),
}
