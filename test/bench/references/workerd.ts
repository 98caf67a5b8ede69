/**
 * Starts workerd with the worker in it, on a free port.
 * @module
 */
import { mkdtempSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { build } from 'esbuild'
import type { Child } from '../stage/child.ts'
import type { Place, Starter } from '../stage/place.ts'

const config = `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [(name = "main", worker = .counter)],
  sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "main")],
);
const counter :Workerd.Worker = (
  modules = [(name = "worker.js", esModule = embed "worker.js")],
  compatibilityDate = "2026-01-01",
);
`

/** The binary's path is all that the package exports. It has none for some platforms, and says so when it is loaded. */
function binary(): string {
  return (createRequire(import.meta.url)('workerd') as { default: string }).default
}

/** @returns The process, and the port that it listens on. */
export async function startWorkerd(place: Place, start: Starter): Promise<{ child: Child; port: number }> {
  const dir = mkdtempSync(join(place.dir, 'workerd-'))
  await build({
    entryPoints: [join(import.meta.dirname, 'worker.ts')],
    ...{ bundle: true, format: 'esm', outfile: join(dir, 'worker.js') },
    alias: { concord: join(import.meta.dirname, '../../../sdk/index.ts') },
  })
  const configFile = join(dir, 'config.capnp')
  writeFileSync(configFile, config)
  // It says on a descriptor where it listens: its standard output, which it has no other use for.
  const child = start.command('workerd', binary(), ['serve', configFile, '--control-fd=1'])
  const { port } = await child.says<{ port: number }>()
  return { child, port }
}
