/**
 * DeployedCode: what a runner gets when a function is deployed: code that was bundled in another way is not as fast.
 * @module
 */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { transform } from 'esbuild'
import { compile } from '../../../gateway/probe/compile.ts'
import { bundleProject } from '../../../sdk/cli/project/bundle.ts'
import { openProject } from '../../../sdk/cli/project/project.ts'

const root = join(import.meta.dirname, '../../..')

/** @param define Constants for its source, which then imports `concord` only. */
export async function deployedCode(path: string, define?: Readonly<Record<string, string>>): Promise<string> {
  if (define !== undefined) {
    const { code } = await transform(await readFile(path, 'utf8'), { loader: 'ts', define })
    return (await compile(code, 'function.js')).code
  }
  const { code, alone } = await bundleProject({ root }, await openProject(path))
  return alone === undefined ? code : (await compile(await readFile(path, 'utf8'), alone.file)).code
}
