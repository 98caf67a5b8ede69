/**
 * Registry: stores on disk what outlives a master: the frameworks, so that updates of their tasks still reach them, and
 * which agents are being drained.
 * @module
 */
import { join } from 'node:path'
import { readJson, writeJson } from '../json-file.ts'
import type { FrameworkInfo } from '../wire/index.ts'
import type { Drain } from './agents.ts'
import { Framework } from './framework.ts'

interface RegistryFile {
  readonly schema: 1
  readonly frameworks: readonly { readonly id: string; readonly info: FrameworkInfo }[]
  /** By agent id; absent: none, or an older build wrote it. */
  readonly drains?: Readonly<Record<string, Drain>>
}

export class Registry {
  readonly #path: string

  constructor(stateDir: string) {
    this.#path = join(stateDir, 'frameworks.json')
  }

  load(): { readonly frameworks: readonly Framework[]; readonly drains: ReadonlyMap<string, Drain> } {
    const { frameworks = [], drains = {} } = readJson<RegistryFile>(this.#path) ?? {}
    return {
      frameworks: frameworks.map(({ id, info }) => new Framework(id, info, true)),
      drains: new Map(Object.entries(drains)),
    }
  }

  save(frameworks: Iterable<Framework>, drains: ReadonlyMap<string, Drain>): void {
    const file: RegistryFile = {
      schema: 1,
      frameworks: [...frameworks].map(({ id, info }) => ({ id, info })),
      drains: Object.fromEntries(drains),
    }
    writeJson(this.#path, file)
  }
}
