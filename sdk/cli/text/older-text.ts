/**
 * OlderText: that instances of an earlier version work on while those of the wanted one are waited for.
 * @module
 */
import type { FunctionDetail } from '../../api/index.ts'

/** In brackets behind a count of the wanted version's; empty where there are none. */
export function olderText({ instances }: Pick<FunctionDetail, 'instances'>, version: number): string {
  const older = instances.filter((one) => one.state === 'running' && one.version < version).length
  if (older === 0) return ''
  return ` (${older} of an earlier version ${older === 1 ? 'works' : 'work'} on)`
}
