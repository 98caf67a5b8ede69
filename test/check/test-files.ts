/**
 * Which test files there are, and how each kind is run.
 * @module
 */
import { globSync } from 'node:fs'

export interface TestFiles {
  readonly all: readonly string[]
  /** They read the tree and start nothing. */
  readonly style: readonly string[]
  /** Beside the code that they test, the checks, checkers and models of this folder included. */
  readonly unit: readonly string[]
  /** They start whole platforms; none of them relies on how fast it gets on beside others. */
  readonly system: readonly string[]
}

/** The longest, as the last lines of a whole run show them: they begin first, so that none of them runs on alone in the end. */
export const longest: readonly string[] = [
  'test/model/handover.test.ts',
  'functions/demo/main.test.ts',
  'functions/wordcount/tutorial.test.ts',
  'scheduler/main.test.ts',
  'runner/isolate/hostile.test.ts',
  'sdk/cli/cli.test.ts',
  'scheduler/failover.test.ts',
  'scheduler/core/simulation.test.ts',
  'gateway/routes/deploy.test.ts',
  'infra/local/up.test.ts',
  'test/simulation/simulation.test.ts',
  'test/bench/bench.test.ts',
  'test/system/swap.test.ts',
  'test/system/back-pressure.test.ts',
  'test/system/nats-cluster.test.ts',
  'test/system/groupings.test.ts',
  'test/system/autoscale.test.ts',
  'test/system/demo.test.ts',
  'test/system/canary.test.ts',
  'test/system/crashes.test.ts',
  'test/system/stops.test.ts',
  'test/system/poison-timer.test.ts',
  'test/system/outlives-gateway.test.ts',
  'test/system/overload.test.ts',
  'test/system/checkpoints.test.ts',
  'test/system/cluster-kills.test.ts',
  'test/system/handover.test.ts',
]

/** Folders that are not ours, or whose tests are data. */
const notOurs = ['node_modules', 'dist', '.tools', '.git', 'testdata', 'template']

/**
 * All test files under `root`, as paths relative to it, the longest first; with patterns, those whose path contains one of them.
 */
export function findTestFiles(root: string, patterns: readonly string[]): TestFiles {
  const all = globSync('**/*.test.ts', {
    cwd: root,
    exclude: (name) => notOurs.includes(name.split('/').at(-1) ?? ''),
  })
    .filter((path) => patterns.length === 0 || patterns.some((pattern) => path.includes(pattern)))
    .sort((a, b) => rankOf(a) - rankOf(b) || (a < b ? -1 : 1))
  const style = all.filter((path) => path === 'test/layout.test.ts' || path.startsWith('test/style/'))
  const system = all.filter((path) => /^test\/(?!style\/|check\/|history\/|model\/)[^/]+\//.test(path))
  const unit = all.filter((path) => !style.includes(path) && !system.includes(path))
  return { all, style, unit, system }
}

function rankOf(path: string): number {
  const rank = longest.indexOf(path)
  return rank === -1 ? longest.length : rank
}
