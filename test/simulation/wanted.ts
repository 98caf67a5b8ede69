/**
 * Wanted: reads what gateways have written, as scheduler/wanted.ts does: commands first, the rest later.
 * @module
 */
import type {
  CommandDocument,
  FunctionDocument,
  StreamDocument,
  VersionDocument,
} from '../../infra/store/documents.ts'
import type { Wanted } from '../../scheduler/core/index.ts'
import type { Kind, StoreModel } from './store.ts'

export function readCommands(store: StoreModel): ReadonlyMap<string, CommandDocument> {
  return new Map(allOf<CommandDocument>(store, 'command'))
}

export function readWanted(store: StoreModel, commands: Wanted['commands']): Wanted {
  const versions = Map.groupBy(allOf<VersionDocument>(store, 'version'), ([key]) =>
    key.slice(0, key.indexOf('@')),
  )
  const functions = allOf<FunctionDocument>(store, 'function').map(([name, document]) => {
    const own = (versions.get(name) ?? []).map(([, version]) => [version.version, version] as const)
    return [name, { document, versions: new Map(own) }] as const
  })
  const streams = new Map(allOf<StreamDocument>(store, 'stream'))
  return { functions: new Map(functions), streams, followers: new Map(), commands }
}

function allOf<T>(store: StoreModel, kind: Kind): (readonly [string, T])[] {
  return store.names(kind).map((name) => [name, store.get<T>(kind, name)!.value] as const)
}
