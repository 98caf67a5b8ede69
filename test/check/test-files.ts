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

/** Folders that are not ours, or whose tests are data. */
const notOurs = ['node_modules', 'dist', '.tools', '.git', 'testdata', 'template']

/** All test files under `root`, as paths relative to it; with patterns, those whose path contains one of them. */
export function findTestFiles(root: string, patterns: readonly string[]): TestFiles {
  const all = globSync('**/*.test.ts', {
    cwd: root,
    exclude: (name) => notOurs.includes(name.split('/').at(-1) ?? ''),
  })
    .filter((path) => patterns.length === 0 || patterns.some((pattern) => path.includes(pattern)))
    .sort()
  const style = all.filter((path) => path === 'test/layout.test.ts' || path.startsWith('test/style/'))
  const system = all.filter((path) => /^test\/(?!style\/|check\/|history\/|model\/)[^/]+\//.test(path))
  const unit = all.filter((path) => !style.includes(path) && !system.includes(path))
  return { all, style, unit, system }
}
