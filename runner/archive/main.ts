/**
 * `npm run runner-archive -- --out DIR`: builds the archive of the runner; one JSON line says where it is.
 * @module
 */
import { parseArgs } from 'node:util'
import { buildArchive } from './build.ts'

try {
  const { out } = parseArgs({ options: { out: { type: 'string', default: 'dist/runner-archive' } } }).values
  process.stdout.write(`${JSON.stringify(await buildArchive(out))}\n`)
} catch (error) {
  process.stderr.write(`Cannot build the runner's archive: ${(error as Error).message}\n`)
  process.exitCode = 1
}
