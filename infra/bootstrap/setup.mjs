/**
 * SetUp: the steps of set-up, in order. `ready` says whether a step is done (fast, only looks), and `run` does it.
 *
 *   B4. If nothing changed, no step runs and no lock is taken: only files are read, in well under a second.
 *   B5. One bootstrap of a checkout works at a time; one that waited checks again before it works.
 * @module
 */
import { join } from 'node:path'
import { withLock } from './lock.mjs'
import { natsServer } from './nats-server.mjs'
import { node24 } from './node24.mjs'
import { packages } from './packages.mjs'
import { root } from './paths.mjs'
import { platformBuild } from './platform-build.mjs'
import { sdkBuild } from './sdk-build.mjs'
import { compiler, zookeeperClient, zookeeperServer } from './zookeeper.mjs'

const platform = [node24, packages, natsServer, sdkBuild, platformBuild]

const cluster = [...platform, compiler, zookeeperClient]

/** What each purpose needs: nothing is compiled but for a cluster's ZooKeeper, and for the tests of it. */
export const purposes = { demo: platform, test: [...cluster, zookeeperServer], platform, cluster }

/** Does what is missing for `purpose`, and shows each step with its time. */
export async function setUp(purpose) {
  const end = () => process.exit(2) // by way of `exit`, so that a step that is stopped leaves nothing behind
  for (const signal of endSignals) process.on(signal, end)
  await runSteps(purpose)
  for (const signal of endSignals) process.removeListener(signal, end)
}

const endSignals = ['SIGINT', 'SIGTERM', 'SIGHUP']

async function runSteps(purpose) {
  for (const step of purposes[purpose]) {
    if (await step.ready()) continue
    const doIt = async () => {
      if (!(await step.ready())) await timed(step)
    }
    await withLock(join(root, '.tools', 'lock'), doIt, () =>
      show('waiting for another set-up of this checkout …'),
    )
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
