/**
 * SetUp: the steps of set-up, in order. `ready` says whether a step is done (fast, only looks), and `run` does it.
 *
 *   B4. If nothing changed, no step runs and no lock is taken: only files are read, in well under a second.
 *   B5. One bootstrap of a checkout works at a time; one that waited checks again before it works.
 *   B8. A build whose folder cannot be written here (a service's /opt/concord) is left out with a warning: the sources run.
 *   B9. Who ends or shows what runs needs no new build: if the sources do not compile, a warning says so, and the bundles run that
 *       are there.
 * @module
 */
import { accessSync, constants, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { bundlesAreWhole } from '../program-bundles.mjs'
import { withLock } from './lock.mjs'
import { natsServer } from './nats-server.mjs'
import { node24 } from './node24.mjs'
import { packages } from './packages.mjs'
import { root } from './paths.mjs'
import { platformBuild } from './platform-build.mjs'
import { SetUpError } from './quiet-command.mjs'
import { sdkBuild } from './sdk-build.mjs'
import { compiler, zookeeperClient, zookeeperServer } from './zookeeper.mjs'

const platform = [node24, packages, natsServer, sdkBuild, platformBuild]

const cluster = [...platform, compiler, zookeeperClient]

/** What each purpose needs: nothing is compiled but for a cluster's ZooKeeper, and for the tests of it. */
export const purposes = { demo: platform, test: [...cluster, zookeeperServer], platform, cluster }

const forWhatRuns = ['infra/local/down.ts', 'infra/local/cluster.ts']

/**
 * Does what is missing for `purpose`, and shows each step with its time.
 * @param source The script that is to run, from the checkout's folder.
 * @returns Whether bundles are to run; else sources.
 */
export async function setUp(purpose, source) {
  const end = () => process.exit(2) // by way of `exit`, so that a step that is stopped leaves nothing behind
  for (const signal of endSignals) process.on(signal, end)
  const left = await runSteps(purpose, source)
  for (const signal of endSignals) process.removeListener(signal, end)
  if (left.length === 0) return true
  show(
    `warning: ${left.map(({ folder }) => folder).join(' and ')} cannot be written and is older than the sources, so these run, which start more slowly: run 'npm run bootstrap' as a user who may write there`,
  )
  return false
}

const endSignals = ['SIGINT', 'SIGTERM', 'SIGHUP']

/** @returns The builds left out (B8). */
async function runSteps(purpose, source) {
  const left = []
  for (const step of purposes[purpose]) {
    if (await step.ready()) continue
    const doIt = async () => {
      if (!(await step.ready())) await timed(step)
    }
    if (step.folder !== undefined && !isWritable(step.folder)) {
      left.push(step)
      continue
    }
    const wait = () => show('waiting for another set-up of this checkout …')
    await withLock(join(root, '.tools', 'lock'), doIt, wait).catch((error) => {
      const isBuild = step.folder !== undefined && error instanceof SetUpError
      if (!isBuild || !forWhatRuns.includes(source) || !bundlesAreWhole()) throw error
      show(`warning: ${error.message} What was built before runs.`)
    })
  }
  return left
}

function isWritable(folder) {
  try {
    mkdirSync(folder, { recursive: true })
    accessSync(folder, constants.W_OK)
    return true
  } catch {
    return false
  }
}

async function timed(step) {
  show(`${step.title} …`)
  const startMs = performance.now()
  await step.run()
  show(`${step.title} done in ${((performance.now() - startMs) / 1000).toFixed(1)} s`)
}

function show(line) {
  process.stderr.write(`set-up: ${line}\n`)
}
