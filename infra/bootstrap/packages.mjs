/**
 * Step: the locked npm packages. `allowScripts` in package.json names the few that may run install scripts, which npm
 * from 12 on asks for.
 * @module
 */
import { join } from 'node:path'
import { isInstalled, npmCi } from './npm-ci.mjs'
import { root } from './paths.mjs'

export const packages = {
  title: 'npm packages',
  ready: () => isInstalled(join(root, 'package-lock.json'), root),
  run: () => npmCi(root),
}
