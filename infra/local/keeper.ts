/**
 * Keeper: keeps one process running. When the process ends unasked, it is started again after a back-off that doubles
 * from 200 ms to 10 s, and starts over once the process has run for 10 s. The time that it ran, times `workedCounts`,
 * is taken off the back-off: a process that ran well returns at once, however often it is killed, and one that fails
 * at its start waits.
 *
 * Invariants:
 *   K1. At most one process of a keeper runs.
 *   K2. After `stop` has returned none runs, and none will.
 *   K3. A process that could not write is not started again before it can: it would only end once more.
 * @module
 */
import type { Clock } from '../clock.ts'
import type { Log } from '../log.ts'

export interface Kept {
  readonly exited: Promise<{ readonly code: number | null; readonly signal: NodeJS.Signals | null }>
  stop(): Promise<void>
}

export interface KeeperOptions<Process extends Kept> {
  readonly name: string
  /** Starts the process; `before` is the one that has ended. */
  readonly start: (before: Process | undefined) => Promise<Process>
  /** Called after each start. */
  readonly started?: (process: Process) => void
  /** Why it cannot be started again now, as on a full disk; undefined: it can. Default: it always can. */
  readonly hindered?: () => Promise<string | undefined>
  readonly clock: Clock
  readonly log: Log
}

const delayMinMs = 200
const delayMaxMs = 10_000
/** How often to look whether it can be started. */
const lookMs = 1_000
/** Each millisecond of work shortens a back-off by this many. */
const workedCounts = 4

export class Keeper<Process extends Kept> {
  readonly #options: KeeperOptions<Process>
  readonly #stopping = Promise.withResolvers<void>()
  #stopped = false
  #process: Process
  readonly #kept: Promise<void>

  private constructor(options: KeeperOptions<Process>, process: Process) {
    this.#options = options
    this.#process = process
    this.#kept = this.#keep()
  }

  /** Starts the process for the first time. @throws What `start` throws: a first failure is not tried again. */
  static async start<Process extends Kept>(options: KeeperOptions<Process>): Promise<Keeper<Process>> {
    const process = await options.start(undefined)
    options.started?.(process)
    return new Keeper(options, process)
  }

  /** The process that runs, or that ran last. */
  get process(): Process {
    return this.#process
  }

  /** @param end How the process is ended; default: its own `stop`. */
  async stop(end: (process: Process) => Promise<void> = (process) => process.stop()): Promise<void> {
    this.#stopped = true
    this.#stopping.resolve()
    await end(this.#process)
    await this.#kept // it may have been about to start another
  }

  async #keep(): Promise<void> {
    const { name, clock, log } = this.#options
    let delayMs = delayMinMs
    while (!this.#stopped) {
      const startedMs = clock.monotonicMs()
      const { code, signal } = await this.#process.exited
      if (this.#stopped) return
      const ranMs = clock.monotonicMs() - startedMs
      if (ranMs >= delayMaxMs) delayMs = delayMinMs
      const restMs = Math.max(0, delayMs - ranMs * workedCounts)
      log.warn({ child: name, code, signal, delayMs: restMs }, 'ended unasked; starts again')
      delayMs = await this.#startAgain(delayMs, restMs)
    }
    await this.#process.stop()
  }

  /**
   * Retries until the process runs or the keeper stops.
   * @param restMs What is left of the first delay.
   * @returns The next delay.
   */
  async #startAgain(firstDelayMs: number, restMs: number): Promise<number> {
    const { name, start, started, log } = this.#options
    for (
      let delayMs = firstDelayMs, leftMs = restMs;
      ;
      leftMs = delayMs = Math.min(delayMs * 2, delayMaxMs)
    ) {
      if (leftMs > 0) await this.#wait(leftMs)
      await this.#untilUnhindered()
      if (this.#stopped) return delayMs
      try {
        this.#process = await start(this.#process)
        started?.(this.#process)
        return Math.min(delayMs * 2, delayMaxMs)
      } catch (error) {
        log.error({ child: name, delayMs }, (error as Error).message)
      }
    }
  }

  /** K3. */
  async #untilUnhindered(): Promise<void> {
    const { name, hindered, log } = this.#options
    for (let said: string | undefined; !this.#stopped; await this.#wait(lookMs)) {
      const why = await hindered?.()
      if (why === undefined) return
      if (why !== said) log.error({ child: name }, `${why}: ${name} is started again once it is not`)
      said = why
    }
  }

  async #wait(delayMs: number): Promise<void> {
    const elapsed = Promise.withResolvers<void>()
    const cancel = this.#options.clock.after(delayMs, elapsed.resolve)
    await Promise.race([elapsed.promise, this.#stopping.promise])
    cancel()
  }
}
