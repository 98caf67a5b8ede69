/**
 * BenchProcesses: the processes of a benchmark, ended with it, and by a signal that ends the benchmark.
 * @module
 */
import { Child } from './child.ts'

const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

export class BenchProcesses {
  readonly #children = new Set<Child>()
  readonly #onClose: () => Promise<void>
  readonly #onSignal = (signal: NodeJS.Signals): void => {
    void this.close().finally(() => process.exit(signal === 'SIGINT' ? 130 : 143))
  }

  /** @param onClose What else is to be taken away, when the processes have ended. */
  constructor(onClose: () => Promise<void> = async () => undefined) {
    this.#onClose = onClose
    for (const signal of signals) process.on(signal, this.#onSignal)
  }

  start(
    name: string,
    command: string,
    args: readonly string[],
    env?: Readonly<Record<string, string | undefined>>,
  ): Child {
    const child = new Child({ name, command, args, ...(env === undefined ? {} : { env }) })
    this.#children.add(child)
    return child
  }

  async end(child: Child): Promise<void> {
    await child.end()
    this.#children.delete(child)
  }

  async close(): Promise<void> {
    for (const signal of signals) process.off(signal, this.#onSignal)
    await Promise.all([...this.#children].map((child) => this.end(child)))
    await this.#onClose()
  }
}
