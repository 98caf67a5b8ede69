/**
 * Build: builds the archive of the runner: everything that a task needs, independent of where this checkout lies.
 *
 *   AB1. The same sources, packages and Node give the same bytes.
 *   AB2. A file appears under its name when it is whole.
 * @module
 */
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { chmod, cp, mkdir, mkdtemp, readdir, rename, rm, stat, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join, resolve } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { promisify } from 'node:util'
import { bundlePrograms } from '../../infra/program-bundles.mjs'
import { bundleName } from '../../infra/programs.mjs'
import { archiveFolder, archiveName } from '../../infra/runner-archive/index.ts'
import { bundleRuntime } from '../../sdk/isolate-scripts.mjs'

const run = promisify(execFile)
const archived = ['runner/main.ts', 'runner/host-main.ts', 'runner/gate/thread-main.ts'] as const

/** Starts the runner from the folder in which the archive was unpacked, wherever that is. */
const runScript = `#!/bin/sh
here=$(cd "$(dirname "$0")" && pwd) || exit 1
export NODE_COMPILE_CACHE="\${NODE_COMPILE_CACHE:-$here/../.tools/cache}"
exec "$here/node" "$here/${bundleName('runner/main.ts')}"
`

/** @returns The path of the archive, and what it is. */
export async function buildArchive(outDir: string): Promise<{ file: string; sha256: string; bytes: number }> {
  const out = resolve(outDir)
  await mkdir(out, { recursive: true })
  const work = await mkdtemp(join(out, '.runner-archive-')) // beside the result, which is moved (AB2)
  try {
    await fill(join(work, archiveFolder))
    const packed = join(work, 'packed.tar.gz')
    const same = [
      '--sort=name',
      '--mtime=@0',
      '--owner=0',
      '--group=0',
      '--numeric-owner',
      '--mode=u=rwX,go=rX',
    ]
    await run('tar', ['-C', work, ...same, '-I', 'gzip -n -3', '-cf', packed, archiveFolder])
    const hash = createHash('sha256')
    await pipeline(createReadStream(packed), hash)
    const sha256 = hash.digest('hex')
    const file = join(out, archiveName(sha256))
    const { size } = await stat(packed)
    await rename(packed, file)
    return { file, sha256, bytes: size }
  } finally {
    await rm(work, { recursive: true, force: true })
  }
}

async function fill(folder: string): Promise<void> {
  await mkdir(folder)
  for (const { name, contents } of (await bundlePrograms(archived)).files)
    await writeFile(join(folder, name), contents)
  await writeFile(join(folder, 'runtime.js'), await bundleRuntime())
  await writeFile(join(folder, 'package.json'), '{ "type": "module" }\n')
  await writeFile(join(folder, 'run'), runScript)
  await chmod(join(folder, 'run'), 0o755)
  await cp(process.execPath, join(folder, 'node'), { dereference: true })
  await addIsolatedVm(join(folder, 'node_modules'))
}

/** Copies the package without its sources, and only with the binaries of this platform and ABI. */
async function addIsolatedVm(modules: string): Promise<void> {
  const from = createRequire(import.meta.url)
  const packageOf = (name: string, start = from) => dirname(start.resolve(`${name}/package.json`))
  const vm = packageOf('isolated-vm')
  const builder = packageOf('node-gyp-build', createRequire(join(vm, 'package.json')))
  const platform = `${process.platform}-${process.arch}`
  const to = join(modules, 'isolated-vm')
  const binaries = join(to, 'prebuilds', platform)
  await mkdir(binaries, { recursive: true })
  for (const name of ['package.json', 'isolated-vm.js', 'LICENSE']) await cp(join(vm, name), join(to, name))
  for (const name of await readdir(join(vm, 'prebuilds', platform)))
    if (name.includes(`.abi${process.versions.modules}.`))
      await cp(join(vm, 'prebuilds', platform, name), join(binaries, name))
  await cp(builder, join(modules, 'node-gyp-build'), { recursive: true })
}
