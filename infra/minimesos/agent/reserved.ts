/**
 * Reserved: an agent's resources, with the reservations made while it ran, which are on disk.
 * @module
 */
import { readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Logger } from 'pino'
import {
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

export class Reserved {
  readonly #path: string
  #total: Resources

  constructor({ stateDir, total, log }: ReservedOptions) {
    this.#path = join(stateDir, 'reserved.json')
    this.#total = total
    for (const [key, amount] of this.#load()) {
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
    const reserved = [...this.#total].filter(([key]) => isDynamic(key))
    writeFileSync(`${this.#path}.tmp`, JSON.stringify({ schema: 1, reserved }), { mode: 0o600 })
    renameSync(`${this.#path}.tmp`, this.#path)
  }

  #load(): Resources {
    try {
      return new Map((JSON.parse(readFileSync(this.#path, 'utf8')) as { reserved: [] }).reserved)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return new Map()
      throw error
    }
  }
}
