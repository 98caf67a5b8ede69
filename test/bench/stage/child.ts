/**
 * A process of a benchmark that speaks in lines of JSON on its standard output, and hears lines on its input.
 * @module
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'

export interface ChildOptions {
  /** What messages call it. */
  readonly name: string
  readonly command: string
  readonly args: readonly string[]
  readonly env?: Readonly<Record<string, string | undefined>>
}

export class Child {
  readonly #name: string
  readonly #process: ChildProcess
  readonly #lines: AsyncIterator<string>
  readonly #ended: Promise<string>
  #wasToldToEnd = false

  constructor({ name, command, args, env }: ChildOptions) {
    this.#name = name
    this.#process = spawn(command, args, {
      stdio: ['pipe', 'pipe', 'inherit'],
      ...(env === undefined ? {} : { env }),
    })
    this.#process.stdin!.on('error', () => undefined) // it has ended, and whoever waits for it hears so
    this.#lines = createInterface({ input: this.#process.stdout! })[Symbol.asyncIterator]()
    this.#ended = once(this.#process, 'exit').then(
      ([code, signal]) => `${name} ended early (${signal ?? `exit code ${code}`})`,
      (error: Error) => `${name} does not start: ${error.message}`,
    )
  }

  get pid(): number {
    return this.#process.pid!
  }

  /** The next line it says. Never settles if we end it meanwhile. @throws {Error} If it ends by itself. */
  async says<T>(): Promise<T> {
    const next = await this.#lines.next()
    return next.done === true ? await this.endsEarly() : (JSON.parse(next.value) as T)
  }

  /** Settles only if the process ends before it is told to: for `Promise.race`. @throws {Error} Always. */
  async endsEarly(): Promise<never> {
    const why = await this.#ended
    // Whoever ended it, at a signal, is about to end all: nobody is to hear of a failure.
    if (this.#wasToldToEnd) await new Promise<never>(() => undefined)
    throw new Error(why)
  }

  tell(message: unknown): void {
    this.#process.stdin!.write(`${JSON.stringify(message)}\n`)
  }

  /** Ends it now, and waits until it has ended. */
  async end(): Promise<void> {
    this.#wasToldToEnd = true
    const { exitCode, signalCode, pid } = this.#process
    if (pid === undefined || exitCode !== null || signalCode !== null) return
    this.#process.kill('SIGKILL')
    await this.#ended
  }

  toString(): string {
    return this.#name
  }
}
