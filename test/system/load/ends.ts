/**
 * Ends: why instances ended, as `inspect` shows it, seen along the way: what ends next takes its place there.
 * @module
 */
import type { FunctionDetail } from '../../../sdk/api/index.ts'

export class Ends {
  readonly #seen = new Map<string, string>()

  /** A condition on a function that also looks how its instances have ended. */
  seen(wanted: (detail: FunctionDetail) => boolean): (detail: FunctionDetail) => boolean {
    return (detail) => {
      for (const { id, lastExit } of detail.instances)
        if (lastExit !== undefined)
          this.#seen.set(`${id} ${lastExit.atMs}`, `${id}: ${lastExit.reason}, ${lastExit.message}`)
      return wanted(detail)
    }
  }

  /** Those that no test has killed, in words. */
  get unasked(): string[] {
    return [...this.#seen.values()].filter((text) => !/SIGKILL/.test(text))
  }

  get count(): number {
    return this.#seen.size
  }
}
