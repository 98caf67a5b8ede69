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
import { Child } from './child.ts'

const benchFolder = join(import.meta.dirname, '..')

export class Place {
  readonly dir: string
  readonly nats: NatsServer
  readonly nc: NatsConnection
  readonly #children = new Set<Child>()
  readonly #onSignal = (signal: NodeJS.Signals): void => {
    void this.close().finally(() => process.exit(signal === 'SIGINT' ? 130 : 143))
  }

  private constructor(dir: string, nats: NatsServer, nc: NatsConnection) {
    this.dir = dir
    this.nats = nats
    this.nc = nc
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, this.#onSignal)
  }

  static async open(): Promise<Place> {
    const dir = mkdtempSync(join(tmpdir(), 'concord-bench-'))
    const nats = await startNatsServer({ dir, port: 0, command: process.env['CONCORD_NATS_SERVER'] })
    return new Place(dir, nats, await connectBus({ url: nats.url, name: 'bench' }))
  }

  /** Runs `act`, then ends the processes that it started. */
  async scene<T>(act: (start: Starter) => Promise<T>): Promise<T> {
    const started: Child[] = []
    try {
      return await act({
        script: (script, ...args) => {
          const child = this.#script(script, args)
          started.push(child)
          return child
        },
        command: (name, command, args, env) => {
          const child = this.#keep(new Child({ name, command, args, ...(env === undefined ? {} : { env }) }))
          started.push(child)
          return child
        },
      })
    } finally {
      await Promise.all(started.map((child) => this.#end(child)))
    }
  }

  async close(): Promise<void> {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.off(signal, this.#onSignal)
    await Promise.all([...this.#children].map((child) => this.#end(child)))
    await this.nc.close()
    await this.nats.stop()
    rmSync(this.dir, { recursive: true, force: true })
  }

  #script(script: string, args: readonly string[]): Child {
    const flags = ['--no-node-snapshot', '--disable-warning=ExperimentalWarning']
    return this.#keep(
      new Child({
        name: script,
        command: process.execPath,
        args: [...flags, join(benchFolder, script), ...args],
      }),
    )
  }

  #keep(child: Child): Child {
    this.#children.add(child)
    return child
  }

  async #end(child: Child): Promise<void> {
    await child.end()
    this.#children.delete(child)
  }
}

/** Starts processes of a scene. */
export interface Starter {
  /** A script of this folder, under our Node. */
  readonly script: (script: string, ...args: string[]) => Child
  readonly command: (
    name: string,
    command: string,
    args: readonly string[],
    env?: Readonly<Record<string, string | undefined>>,
  ) => Child
}
