/**
 * Where things are: the checkout, its private tools, and the environment in which everything of ours runs.
 * @module
 */
import { existsSync } from 'node:fs'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The checkout. */
export const root = fileURLToPath(new URL('../..', import.meta.url))

/** Where the private Node goes, and the binary in it. */
export const node24Folder = join(root, '.tools', 'node24')
export const node24Binary = join(node24Folder, 'node_modules', `node-linux-${process.arch}`, 'bin', 'node')

/** Majors for which isolated-vm ships a binary: another Node would need a compiler. */
const nodeMajors = [24, 26]

/** Whether the Node that runs this is good enough for the platform. */
export const machineNodeWorks = nodeMajors.includes(Number(process.versions.node.split('.')[0]))

/** The Node that runs the platform; it may not be there yet. */
export const nodePath = machineNodeWorks ? process.execPath : node24Binary

/** PATH as the distribution's packages mean it: without root's folders a user does not see a server in sbin. */
const systemFolders = ['/usr/local/sbin', '/usr/sbin', '/sbin']

/** Finds an executable on PATH, then in the system's folders. */
export function findExecutable(name) {
  const folders = [...(process.env.PATH ?? '').split(delimiter), ...systemFolders]
  return folders.map((folder) => join(folder, name)).find((path) => existsSync(path))
}

/** The environment of npm's install scripts and of all that we start: our Node first, the system's folders last. */
export function toolEnvironment() {
  const path = [dirname(nodePath), process.env.PATH ?? '', ...systemFolders].filter((folder) => folder !== '')
  return { ...process.env, PATH: [...new Set(path.join(delimiter).split(delimiter))].join(delimiter) }
}
