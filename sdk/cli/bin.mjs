#!/usr/bin/env node
/**
 * The `concord` command: runs dist/cli.mjs. In a checkout that is built first when it is missing or older than its
 * sources (≈ 100 ms); an installed package brings it along.
 * @module
 */
import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

const root = resolve(fileURLToPath(import.meta.url), '../../..')
const buildScript = join(root, 'sdk', 'build.mjs')

if (Number(process.versions.node.split('.')[0]) < 20) {
  fail(`this needs Node 20 or newer and runs on ${process.versions.node}: install a newer Node`)
}
if (existsSync(buildScript)) await refresh()
const { run } = await import(pathToFileURL(join(root, 'dist', 'cli.mjs')).href)
process.exitCode = await run(process.argv.slice(2), { root })

async function refresh() {
  const { buildCode, codeIsStale } = await import(pathToFileURL(buildScript).href)
  if (!codeIsStale()) return
  try {
    await buildCode()
  } catch (error) {
    if (error.code === 'ERR_MODULE_NOT_FOUND')
      fail(`this checkout is not set up: run 'npm run bootstrap' in ${root}`)
    fail(`cannot build the command line from ${root}: ${error.message}`)
  }
}

function fail(message) {
  process.stderr.write(`concord: ${message}\n`)
  process.exit(1)
}
