/**
 * Steps: the client of the store on ZooKeeper, compiled here against the headers of the platform's Node, and what
 * compiles it; for tests the server too. The demo and the one-machine platform need none of it.
 * @module
 */
import { copyFileSync, existsSync, mkdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { installDebian } from './debian.mjs'
import { node24 } from './node24.mjs'
import { isInstalled, npmCi } from './npm-ci.mjs'
import { findExecutable, node24Binary, nodePath, root } from './paths.mjs'

const source = join(root, 'infra', 'bootstrap', 'zookeeper')
const folder = join(root, '.tools', 'zookeeper')
const binary = join(folder, 'node_modules', 'zookeeper', 'build', 'Release', 'zookeeper.node')

/** What the distribution's package of ZooKeeper brings; tests start it themselves. */
const serverJar = '/usr/share/java/zookeeper.jar'

const clientReady = () => existsSync(binary) && isInstalled(join(source, 'package-lock.json'), folder)

export const compiler = {
  title: 'a C++ compiler, make and Python, to compile the ZooKeeper client',
  ready: () => clientReady() || ['g++', 'make', 'python3'].every((name) => findExecutable(name)),
  run: () =>
    installDebian(['build-essential', 'python3'], {
      howTo:
        "The ZooKeeper client is compiled, which needs a C++ compiler, make and Python 3. Install them ('sudo apt-get install build-essential python3' on Debian).",
    }),
}

export const zookeeperClient = {
  title: 'the ZooKeeper client, compiled',
  ready: clientReady,
  run: async () => {
    mkdirSync(folder, { recursive: true })
    for (const file of ['package.json', 'package-lock.json'])
      copyFileSync(join(source, file), join(folder, file))
    await npmCi(folder, await headersOption())
  },
}

export const zookeeperServer = {
  title: 'ZooKeeper and Java from the distribution, for the tests',
  ready: () => existsSync(serverJar) && findExecutable('java') !== undefined,
  run: () =>
    installDebian(['zookeeper', 'default-jre-headless'], {
      howTo: `The tests start a real ZooKeeper, and ${serverJar} or java was not found. Install them ('sudo apt-get install zookeeper default-jre-headless' on Debian).`,
    }),
}

/** Where the headers are, so that node-gyp downloads none: with the Node itself, else in npm's package of the same major. */
async function headersOption() {
  const prefix = dirname(dirname(nodePath))
  if (hasHeaders(prefix)) return { npm_config_nodedir: prefix }
  if (process.versions.node.split('.')[0] !== '24') return {}
  if (!existsSync(node24Binary)) await node24.run()
  return { npm_config_nodedir: dirname(dirname(node24Binary)) }
}

const hasHeaders = (prefix) => existsSync(join(prefix, 'include', 'node', 'node.h'))
