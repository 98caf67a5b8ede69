#!/usr/bin/env node
/**
 * Bootstrap: from a fresh clone to a running script, with nothing done by hand.
 *
 *     node infra/bootstrap/run.mjs [--for demo|test|platform|cluster] [SCRIPT.ts [arguments…]]
 *
 * Does the set-up that is missing (setup.mjs), then runs SCRIPT under Node 24 with the flags that the platform needs.
 * This folder is plain JavaScript without dependencies, since it runs before there are any, on Node ≥ 18.
 *
 *  B1. Nothing is downloaded except through npm, and through the distribution's package manager when root.
 *  B2. Standard output belongs to the script: set-up writes to standard error.
 *  B3. The script's exit code or signal is ours; set-up that fails ends with 2 and says what to do.
 *  B7. Who sets up for `concord` itself, with no script, will run it under this Node: one that sdk/cli/bin.mjs refuses is
 *      refused here first, in the same words. Scripts and a cluster's servers run under ours.
 * @module
 */
import { existsSync, realpathSync } from 'node:fs'
import { relative } from 'node:path'
import { exec } from './exec.mjs'
import { root } from './paths.mjs'
import { SetUpError } from './quiet-command.mjs'
import { purposes, setUp } from './setup.mjs'

const { purpose, script, scriptArguments } = parse(process.argv.slice(2))
/** The script's name in the checkout, which a symbolic link may lead to. */
const source = script !== undefined && existsSync(script) ? relative(root, realpathSync(script)) : undefined
let bundled = false
try {
  if (purpose === 'platform' && script === undefined) checkNode()
  bundled = await setUp(purpose, source)
} catch (error) {
  if (!(error instanceof SetUpError)) throw error
  process.stderr.write(`set-up: ${error.message}\n`)
  process.exit(2)
}
if (script !== undefined) await exec(script, scriptArguments, { source, bundled })
else process.stderr.write('set-up: everything is in place\n')

function checkNode() {
  const { node } = process.versions
  if (Number(node.split('.')[0]) < 20)
    throw new SetUpError(`this needs Node 20 or newer and runs on ${node}: install a newer Node`)
}

function parse(words) {
  const [flag, purpose, ...rest] = words[0] === '--for' ? words : ['--for', 'platform', ...words]
  if (!(purpose in purposes) || rest[0]?.startsWith('-')) {
    process.stderr.write(
      `set-up: found '${[flag, purpose, rest[0]].join(' ')}', expected [--for ${Object.keys(purposes).join('|')}] [SCRIPT [arguments…]]\n`,
    )
    process.exit(2)
  }
  const [script, ...scriptArguments] = rest
  return { purpose, script, scriptArguments }
}
