/**
 * OlderText: says how many instances of an earlier version still work while those of the wanted one are awaited.
 * @module
 */
import type { FunctionDetail } from '../../api/index.ts'

/** In brackets, to follow a count of the wanted version's instances; empty if there are none. */
export function olderText({ instances }: Pick<FunctionDetail, 'instances'>, version: number): string {
  const older = instances.filter((one) => one.state === 'running' && one.version < version).length
  if (older === 0) return ''
  return ` (${older} of an earlier version ${older === 1 ? 'works' : 'work'} on)`
}
