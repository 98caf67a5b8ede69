/**
 * Place: where a benchmark takes place: a temporary folder, a nats-server on a free port, and processes.
 *
 *  P1. `close` takes all of it away again, and so does a signal that ends the benchmark.
 *  P2. `scene` ends what was started in it, however it ends.
 * @module
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connectBus, type NatsConnection } from '../../../infra/bus/index.ts'
import { type NatsServer, startNatsServer } from '../../../infra/nats/index.ts'
import { withHugePages } from '../../../runner/process/huge-pages.ts'
import { BenchProcesses } from './bench-processes.ts'
import type { Child } from './child.ts'

/** What a benchmark gives to a runner. */
export const memMib = 4096
const benchFolder = join(import.meta.dirname, '..')
const nodeFlags = ['--no-node-snapshot', '--disable-warning=ExperimentalWarning']

/** Starts processes of a scene. */
export interface Starter {
  /** A script of this folder, under our Node. */
  readonly script: (script: string, ...args: string[]) => Child
  /** The same with the memory that a runner asks for: pages of 2 MiB. */
  readonly scriptLikeRunner: (script: string, ...args: string[]) => Child
  readonly command: BenchProcesses['start']
}

export class Place {
  readonly dir: string
  readonly nats: NatsServer
  readonly nc: NatsConnection
  readonly #processes: BenchProcesses

  private constructor(dir: string, nats: NatsServer, nc: NatsConnection) {
    this.dir = dir
    this.nats = nats
    this.nc = nc
    this.#processes = new BenchProcesses(async () => {
      await nc.close()
      await nats.stop()
      rmSync(dir, { recursive: true, force: true })
    })
  }

  static async open(): Promise<Place> {
    const dir = mkdtempSync(join(tmpdir(), 'concord-bench-'))
    const nats = await startNatsServer({ dir, port: 0, command: process.env['CONCORD_NATS_SERVER'] })
    return new Place(dir, nats, await connectBus({ url: nats.url, name: 'bench' }))
  }

  /** Runs `act`, then ends the processes that it started. */
  async scene<T>(act: (start: Starter) => Promise<T>): Promise<T> {
    const started: Child[] = []
    const command: Starter['command'] = (...what) => {
      const child = this.#processes.start(...what)
      started.push(child)
      return child
    }
    const scriptIn =
      (env: NodeJS.ProcessEnv): Starter['script'] =>
      (file, ...args) =>
        command(file, process.execPath, [...nodeFlags, join(benchFolder, file), ...args], env)
    const [script, scriptLikeRunner] = [scriptIn(process.env), scriptIn(withHugePages(process.env, memMib))]
    try {
      return await act({ script, scriptLikeRunner, command })
    } finally {
      await Promise.all(started.map((child) => this.#processes.end(child)))
    }
  }

  close(): Promise<void> {
    return this.#processes.close()
  }
}
