/**
 * Definition: checks that a default export is what `defineFunction` accepts; the error says what to do.
 * @module
 */
import type { FunctionDefinition } from '../../function.ts'
import { runtimeError } from '../errors.ts'

const callbacks = ['init', 'processRecord', 'processTimer', 'migrate', 'destroy'] as const

/** @throws {CodedError} ERR_DEFINITION */
export function checkDefinition(exported: unknown): FunctionDefinition {
  if (typeof exported !== 'object' || exported === null) {
    throw refused(`its default export is ${exported === null ? 'null' : typeof exported}`)
  }
  const definition = exported as Record<string, unknown>
  const metadata = definition['metadata']
  if (typeof metadata !== 'object' || metadata === null) throw refused(`its metadata is ${typeof metadata}`)
  for (const name of callbacks) {
    const callback = definition[name]
    if (callback !== undefined && typeof callback !== 'function')
      throw refused(`its ${name} is ${typeof callback}`)
  }
  const { istreams } = metadata as { istreams?: object }
  if (
    istreams !== undefined &&
    Object.keys(istreams).length > 0 &&
    definition['processRecord'] === undefined
  ) {
    throw refused('it has istreams and no processRecord')
  }
  return exported as FunctionDefinition
}

function refused(found: string): Error {
  return runtimeError(
    'ERR_DEFINITION',
    `Cannot use this as a function: ${found}; expected \`export default defineFunction({ … })\``,
  )
}
