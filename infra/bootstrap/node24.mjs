/**
 * Step: Node 24 where the machine's own will not do. npm has it as a package for each platform; the lockfile in
 * `node24/` says which.
 * @module
 */
import { copyFileSync, existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { isInstalled, npmCi } from './npm-ci.mjs'
import { machineNodeWorks, node24Folder, nodePath, root } from './paths.mjs'
import { SetUpError } from './quiet-command.mjs'

const source = join(root, 'infra', 'bootstrap', 'node24')

export const node24 = {
  title: `Node 24 (this machine has ${process.versions.node})`,
  ready: () =>
    machineNodeWorks ||
    (existsSync(nodePath) && isInstalled(join(source, 'package-lock.json'), node24Folder)),
  run: async () => {
    if (process.platform !== 'linux' || !['x64', 'arm64'].includes(process.arch)) {
      throw new SetUpError(
        `Node 24 is needed; install it for ${process.platform} ${process.arch} from your package manager`,
      )
    }
    mkdirSync(node24Folder, { recursive: true })
    for (const file of ['package.json', 'package-lock.json'])
      copyFileSync(join(source, file), join(node24Folder, file))
    await npmCi(node24Folder)
  },
}
