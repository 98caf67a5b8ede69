/**
 * EntryMigration: the argument of `migrate`: one entry in an older format, and what it becomes.
 *
 *   EM1. Only the result of `made`, after the call, reaches the arena.
 * Design: docs/design/0032-migrate.md
 * @module
 */
import type { Data, FunctionDefinition, Migration } from '../../function.ts'
import type { FormatUse, OldEntry } from '../arena/index.ts'
import { Lifecycle } from '../callback/scope.ts'
import type { Seam } from '../callback/seam.ts'
import { runtimeError } from '../errors.ts'
import { Bytes, fromJson } from '../realm/primordials.ts'
import { isThenable } from '../realm/thenable.ts'
import { utf8Read } from '../realm/utf8.ts'
import { jsonOf } from '../state/json-form.ts'

/** How an arena migrates its entries; undefined if the function has no `migrate`. */
export function migrationOf(definition: FunctionDefinition, seam: Seam): FormatUse['migrate'] {
  if (definition.migrate === undefined) return undefined
  return (entry, from) => {
    const migration = new EntryMigration(seam, entry)
    const answer: unknown = definition.migrate!(migration, from)
    if (isThenable(answer))
      throw runtimeError(
        'ERR_ARGUMENT',
        'Cannot migrate state: migrate answers a promise, and state is read at once: let it not be async',
      )
    return migration.made()
  }
}

class EntryMigration extends Lifecycle implements Migration {
  readonly kind: 'state' | 'list'
  readonly key: Uint8Array<ArrayBuffer>
  readonly value: Uint8Array<ArrayBuffer>
  #made: Data | undefined
  #isOver = false

  constructor(seam: Seam, { key, kind, value }: OldEntry) {
    super(seam)
    this.kind = kind
    this.key = key
    this.value = value
    this.#made = new Bytes(value)
  }

  keyText(): string {
    return utf8Read(this.key)
  }

  text(): string {
    return utf8Read(this.value)
  }

  json<T = unknown>(): T {
    return fromJson(this.text()) as T
  }

  set(value: Data): void {
    this.#live().#made = value
  }

  setJson(value: unknown): void {
    this.#live().#made = jsonOf(value)
  }

  delete(): void {
    this.#live().#made = undefined
  }

  made(): Data | undefined {
    this.#isOver = true
    return this.#made
  }

  #live(): this {
    if (!this.#isOver) return this
    throw runtimeError('ERR_CALLBACK_OVER', 'Cannot migrate state: this migrate is over')
  }
}
