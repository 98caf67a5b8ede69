#!/usr/bin/env node
/**
 * The `concord` command: runs dist/cli.mjs. In a checkout dist/ is built first when one of its files is missing or it was made
 * of other sources (≈ 100 ms); an installed package brings it along.
 * @module
 */
import { existsSync } from 'node:fs'
import module from 'node:module'
import { join, resolve } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

const root = resolve(fileURLToPath(import.meta.url), '../../..')
const sources = join(root, 'sdk')
const isCheckout = existsSync(join(sources, 'build.mjs'))

if (Number(process.versions.node.split('.')[0]) < 20) {
  fail(`this needs Node 20 or newer and runs on ${process.versions.node}: install a newer Node`)
}
if (process.argv[2] === 'produce') beginWithLittleMemory()
module.enableCompileCache?.(isCheckout ? join(root, '.tools', 'cache') : undefined) // Node 22.8 has it
if (isCheckout) await refresh()
const { run } = await import(pathToFileURL(join(root, 'dist', 'cli.mjs')).href)
process.exitCode = await run(process.argv.slice(2), { root })

/**
 * Starts this process again with little memory, under the same process id (execve). A `produce` may run for days, and
 * each request leaves some 100 KiB of garbage: by default V8's young generation grows to 96 MiB, and glibc returns
 * memory more and more rarely. Both can only be set when a process starts. If the restart is impossible, the command
 * continues as it is.
 */
function beginWithLittleMemory() {
  const { CONCORD_BEGAN_ANEW: began, ...env } = process.env
  if (process.platform !== 'linux' || process.execve === undefined || !existsSync(process.execPath)) return
  if (began !== undefined) return void delete process.env.CONCORD_BEGAN_ANEW
  const args = [process.argv0, '--max-semi-space-size=4', ...process.execArgv, ...process.argv.slice(1)]
  const malloc = { MALLOC_MMAP_THRESHOLD_: String(128 * 1024) }
  try {
    process.execve(process.execPath, args, { ...malloc, ...env, CONCORD_BEGAN_ANEW: '1' })
  } catch {
    // the permission model of Node may forbid it
  }
}

async function refresh() {
  const { codeIsStale } = await import(pathToFileURL(join(sources, 'built.mjs')).href)
  if (!codeIsStale()) return
  try {
    const { buildCode } = await import(pathToFileURL(join(sources, 'build.mjs')).href)
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
