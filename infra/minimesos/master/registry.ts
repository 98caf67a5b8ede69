/**
 * Registry: stores the frameworks on disk, so that updates of their tasks still reach them after a restart.
 * @module
 */
import { join } from 'node:path'
import { readJson, writeJson } from '../json-file.ts'
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
    const frameworks = readJson<RegistryFile>(this.#path)?.frameworks ?? []
    return frameworks.map(({ id, info }) => new Framework(id, info, true))
  }

  save(frameworks: Iterable<Framework>): void {
    const file: RegistryFile = {
      schema: 1,
      frameworks: [...frameworks].map(({ id, info }) => ({ id, info })),
    }
    writeJson(this.#path, file)
  }
}
