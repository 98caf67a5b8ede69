/**
 * Reserved: an agent's resources, with the reservations made while it ran, which are on disk.
 * @module
 */
import { join } from 'node:path'
import type { Logger } from 'pino'
import { readJson, writeJson } from '../json-file.ts'
import {
  type Amount,
  add,
  contains,
  isDynamic,
  original,
  type Resources,
  rekey,
  resources,
  subtract,
} from '../wire/index.ts'

export interface ReservedOptions {
  readonly stateDir: string
  /** What it starts with. */
  readonly total: Resources
  readonly log: Logger
}

interface ReservedFile {
  readonly schema: 1
  /** Amounts, by key (../wire/resources.ts). */
  readonly reserved: readonly (readonly [string, Amount])[]
}

export class Reserved {
  readonly #path: string
  #total: Resources

  constructor({ stateDir, total, log }: ReservedOptions) {
    this.#path = join(stateDir, 'reserved.json')
    this.#total = total
    for (const [key, amount] of readJson<ReservedFile>(this.#path)?.reserved ?? []) {
      const reserved = resources({ [key]: amount })
      const from = rekey(reserved, original)
      // The agent may have been started with fewer resources than before.
      if (contains(this.#total, from)) this.#total = add(subtract(this.#total, from), reserved)
      else log.warn({ reserved: key, amount }, 'what was reserved is not there any more')
    }
  }

  get total(): Resources {
    return this.#total
  }

  convert(from: Resources, to: Resources): void {
    this.#total = add(subtract(this.#total, from), to)
    const file: ReservedFile = {
      schema: 1,
      reserved: [...this.#total].filter(([key]) => isDynamic(key)),
    }
    writeJson(this.#path, file)
  }
}
