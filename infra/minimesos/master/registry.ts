/**
 * Registry: stores the frameworks on disk, so that updates of their tasks still reach them after a restart.
 * @module
 */
import { readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { FrameworkInfo } from '../wire/index.ts'
import { Framework } from './framework.ts'

interface RegistryFile {
  readonly schema: 1
  readonly frameworks: readonly { readonly id: string; readonly info: FrameworkInfo }[]
}

export class Registry {
  readonly #path: string

  constructor(stateDir: string) {
    this.#path = join(stateDir, 'frameworks.json')
  }

  load(): Framework[] {
    try {
      const file = JSON.parse(readFileSync(this.#path, 'utf8')) as RegistryFile
      return file.frameworks.map(({ id, info }) => new Framework(id, info, true))
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
      throw error
    }
  }

  save(frameworks: Iterable<Framework>): void {
    const file: RegistryFile = {
      schema: 1,
      frameworks: [...frameworks].map(({ id, info }) => ({ id, info })),
    }
    writeFileSync(`${this.#path}.tmp`, JSON.stringify(file), { mode: 0o600 })
    renameSync(`${this.#path}.tmp`, this.#path)
  }
}
